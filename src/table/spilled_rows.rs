//! Rows beyond the bound of the set of identities: kept on disk until all of them have been seen.
//! In: fingerprints and batches, in order. Out: verdicts on all rows, then the batches without the duplicates, in the
//! order in which they came. The answer is the one that an unbounded set would give.
//! Memory: four bits a row, the identities of one partition at a time, and 12 MiB of buffers.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use datafusion::common::Result;
use datafusion::common::cast::as_uint64_array;

use super::dedup::{CopyKind, Fingerprint, SeenRows};
use super::lacking::LackingRows;
use super::part::RowTaker;
use crate::source::SpoolFile;

const PARTITIONS: usize = 256;
const ENTRY_BYTES: usize = 24;
/// A partition's entries are written this many at a time.
const CHUNK_ENTRIES: usize = 2048;

/// Rows that wait for their verdict.
pub struct DeferredRows {
    fingerprints: FingerprintFile,
    rows: u64,
    /// The rows that a scope cannot judge, by their ordinals.
    pub lacking: LackingRows<RowBits>,
    /// The rows that are no part of an answer, by their ordinals.
    pub for_state: RowBits,
    batches: Vec<Option<BatchSpool>>,
}

/// The batches of one output, each with the ordinals of its rows as a last column.
struct BatchSpool {
    file: SpoolFile,
    writer: FileWriter<BufWriter<SpoolFile>>,
}

impl DeferredRows {
    /// Fails where no temporary file can be made. The files have no names, so they go with this value.
    pub fn new() -> io::Result<DeferredRows> {
        let fingerprints = FingerprintFile::new()?;
        let (lacking, for_state) = (LackingRows::default(), RowBits::default());
        Ok(DeferredRows { fingerprints, rows: 0, lacking, for_state, batches: Vec::new() })
    }

    /// The ordinal that the next row gets.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds a row that the full set cannot settle; `earlier` is its verdict, first copy or conflict. Returns its
    /// ordinal.
    pub fn add(&mut self, row: Fingerprint, earlier: CopyKind) -> io::Result<u64> {
        let ordinal = self.rows;
        self.rows += 1;
        self.fingerprints.add(row, ordinal << 1 | u64::from(earlier == CopyKind::Conflict))?;
        Ok(ordinal)
    }

    /// Rows of an output, with the ordinal of each.
    pub fn keep(&mut self, output: usize, batch: &RecordBatch, ordinals: UInt64Array) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let with_ordinals = with_ordinals(batch, ordinals)?;
        if self.batches.len() <= output {
            self.batches.resize_with(output + 1, || None);
        }
        let spool = match &mut self.batches[output] {
            Some(spool) => spool,
            none => {
                let file = SpoolFile::new()?;
                let writer = FileWriter::try_new_buffered(file.clone(), &with_ordinals.schema())?;
                none.insert(BatchSpool { file, writer })
            }
        };
        Ok(spool.writer.write(&with_ordinals)?)
    }

    /// Decides all rows.
    pub fn judge(&mut self) -> io::Result<DeferredVerdicts> {
        let mut verdicts = DeferredVerdicts { duplicate: RowBits::new(self.rows), conflict: RowBits::new(self.rows) };
        for partition in 0..PARTITIONS {
            let mut seen = SeenRows::default();
            self.fingerprints.read(partition, &mut |row, tagged| {
                let copy = match tagged & 1 {
                    0 => seen.add(row),
                    _ => seen.add_conflicting(row),
                };
                match copy {
                    CopyKind::First => {}
                    CopyKind::Duplicate => verdicts.duplicate.set(tagged >> 1),
                    CopyKind::Conflict => verdicts.conflict.set(tagged >> 1),
                }
            })?;
        }
        Ok(verdicts)
    }

    /// Gives the batches away without the duplicates, until `taker` wants no more.
    pub fn replay(self, verdicts: &DeferredVerdicts, taker: &mut dyn RowTaker) -> Result<()> {
        for (output, spool) in self.batches.into_iter().enumerate() {
            let Some(BatchSpool { file, mut writer }) = spool else { continue };
            writer.finish()?;
            for batch in FileReader::try_new_buffered(file.reader(), None)? {
                let batch = verdicts.first_copies(&batch?)?;
                if batch.num_rows() > 0 && taker.take(output, batch)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn with_ordinals(batch: &RecordBatch, ordinals: UInt64Array) -> Result<RecordBatch> {
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("ordinal", DataType::UInt64, false)));
    let columns = batch.columns().iter().cloned().chain([Arc::new(ordinals) as _]).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// The verdicts on the rows.
pub struct DeferredVerdicts {
    duplicate: RowBits,
    conflict: RowBits,
}

impl DeferredVerdicts {
    /// Duplicates and conflicts among the rows with these ordinals, but for some.
    pub fn counts(&self, rows: Range<u64>, except: &RowBits) -> (u64, u64) {
        let count = |bits: &RowBits| rows.clone().filter(|&row| bits.has(row) && !except.has(row)).count() as u64;
        (count(&self.duplicate), count(&self.conflict))
    }

    /// Of some rows, the number that are no duplicates.
    pub fn kept_of(&self, rows: &RowBits) -> u64 {
        let words = rows.0.iter().zip(&self.duplicate.0);
        words.map(|(row, duplicate)| u64::from((row & !duplicate).count_ones())).sum()
    }

    /// The rows that are no duplicates, without their ordinals.
    fn first_copies(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let last = batch.num_columns() - 1;
        let ordinals = as_uint64_array(batch.column(last))?;
        let keep: BooleanArray = ordinals.values().iter().map(|&row| Some(!self.duplicate.has(row))).collect();
        let rows = batch.project(&(0..last).collect::<Vec<_>>())?;
        Ok(filter_record_batch(&rows, &keep)?)
    }
}

/// A bit for each row.
#[derive(Default)]
pub struct RowBits(Vec<u64>);

impl RowBits {
    fn new(rows: u64) -> RowBits {
        RowBits(vec![0; rows.div_ceil(64) as usize])
    }

    pub fn set(&mut self, row: u64) {
        let word = (row / 64) as usize;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (row % 64);
    }

    fn has(&self, row: u64) -> bool {
        self.0.get((row / 64) as usize).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }
}

/// Fingerprints on disk, in one file, by the top bits of their identity.
struct FingerprintFile {
    file: SpoolFile,
    written: u64,
    buffers: Vec<Vec<u8>>,
    /// Offset and length of each partition's chunks.
    chunks: Vec<Vec<(u64, usize)>>,
}

impl FingerprintFile {
    fn new() -> io::Result<FingerprintFile> {
        let empty = || vec![Vec::new(); PARTITIONS];
        Ok(FingerprintFile {
            file: SpoolFile::new()?,
            written: 0,
            buffers: empty(),
            chunks: vec![Vec::new(); PARTITIONS],
        })
    }

    fn add(&mut self, row: Fingerprint, tagged: u64) -> io::Result<()> {
        let partition = (row.identity >> 56) as usize;
        let buffer = &mut self.buffers[partition];
        for word in [row.identity, row.content, tagged] {
            buffer.extend_from_slice(&word.to_le_bytes());
        }
        if buffer.len() >= CHUNK_ENTRIES * ENTRY_BYTES { self.flush(partition) } else { Ok(()) }
    }

    fn flush(&mut self, partition: usize) -> io::Result<()> {
        let buffer = &mut self.buffers[partition];
        self.file.write_all(buffer)?;
        self.chunks[partition].push((self.written, buffer.len()));
        self.written += buffer.len() as u64;
        buffer.clear();
        Ok(())
    }

    /// Gives a partition's entries in the order in which they came.
    fn read(&mut self, partition: usize, take: &mut dyn FnMut(Fingerprint, u64)) -> io::Result<()> {
        self.flush(partition)?;
        for (offset, length) in std::mem::take(&mut self.chunks[partition]) {
            let chunk = BufReader::with_capacity(length.max(1), self.file.reader_from(offset));
            let mut chunk = chunk.take(length as u64);
            let mut entry = [0; ENTRY_BYTES];
            for _ in 0..length / ENTRY_BYTES {
                chunk.read_exact(&mut entry)?;
                let word =
                    |at: usize| entry[at..at + 8].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
                take(Fingerprint { identity: word(0), content: word(8) }, word(16));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::Path;

    use arrow::array::AsArray;

    use super::super::{
        IDENTITIES_MAX, LogTable, RowHashes, RowReach, ScanOptions, ScanOutput, ScanRequest, hours_batch, scan,
    };
    use super::*;
    use crate::normalize::{ColumnSet, EventFilter, TableNeeds};
    use crate::schema::Column;
    use crate::source::{self, Location, Scope};

    /// Ids in the order in which they are given, duplicates and conflicts of each object, and the hours of all.
    fn read(logs: &Path, identities_max: usize) -> (Vec<String>, Vec<(u64, u64, u64)>, RecordBatch) {
        let listing = source::list_local(&[Location::Path(logs.to_owned())], &Scope::default()).unwrap();
        let options = ScanOptions {
            filter: EventFilter::All,
            scope: Scope::default(),
            threads: 2,
            salvage: false,
            identities_max,
            accepted: Arc::default(),
            progress: Arc::new(|_| {}),
        };
        let logs = LogTable::new(Arc::new(listing), options);
        let columns = vec![Column::EventId];
        let needs = TableNeeds::of_every_row(ColumnSet::of(&columns));
        let outputs = vec![ScanOutput { predicate: None, needs, places: vec![0], reach: RowReach::Scope }];
        let request = ScanRequest { columns, outputs, objects: None, hashes: RowHashes::Absent };
        let mut ids = Vec::new();
        let scanned = scan(&logs, &request, &mut |_: usize, batch: RecordBatch| {
            let column = datafusion::common::cast::as_string_array(batch.column(0))?;
            ids.extend(column.iter().map(|id| id.unwrap().to_owned()));
            Ok(ControlFlow::Continue(()))
        });
        let counts = |object: &super::super::tallies::ObjectTally| {
            (object.counts.kept, object.counts.duplicate, object.counts.conflicts)
        };
        let scanned = scanned.unwrap();
        let hours = hours_batch(&logs.listing, &scanned.tallies, &|_| true);
        (ids, scanned.tallies.objects.iter().map(counts).collect(), hours)
    }

    /// Files of a few records that repeat each other, with other content now and then; more files than one worker
    /// takes at once, so that the budget can end between them.
    fn repeating(folder: &Path) {
        let record = |file: usize, number: usize| {
            let (id, content) = ((file * 7 + number * 5) % 523, file / 100 % 2);
            format!(
                r#"{{"eventID":"id-{id}","eventTime":"2026-01-01T00:00:00Z","recipientAccountId":"111122223333","n":{content}}}"#
            )
        };
        for file in 0..600 {
            let records: Vec<String> = (0..3).map(|number| record(file, number)).collect();
            let document = format!("{{\"Records\":[{}]}}", records.join(","));
            std::fs::write(folder.join(format!("{file:03}.json")), document).unwrap();
        }
    }

    #[test]
    fn a_small_budget_changes_no_answer() {
        let folder = tempfile::tempdir().unwrap();
        repeating(folder.path());
        let whole = read(folder.path(), IDENTITIES_MAX);
        let (duplicates, conflicts) = whole.1.iter().fold((0, 0), |sum, (_, d, c)| (sum.0 + d, sum.1 + c));
        assert!(duplicates > 10 && conflicts > 10, "{whole:?}");
        let records = whole.2["records"].as_primitive::<arrow::datatypes::Int64Type>();
        let kept: u64 = whole.1.iter().map(|(kept, ..)| kept).sum();
        assert_eq!(records.values().iter().sum::<i64>() as u64, kept, "each kept row is in one hour");
        for identities_max in [0, 100, 500] {
            assert_eq!(read(folder.path(), identities_max), whole, "with {identities_max}");
        }
    }
}
