//! Says how many seconds of one core each stage takes over a folder of gzipped logs, and how often it allocates.
//! In: the folder, and how often to go over it. Out: a table, the seconds as medians.
//! Measures what a scan does with each object, without a thread beside it and without DataFusion.
//!
//! ```text
//! cargo run --example stages -- LOGS 5
//! ```

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keytrail_rows::batch::{Provenance, RowBuilder};
use keytrail_rows::decode::inflate;
use keytrail_rows::decode::split::{DocumentItem, DocumentPiece, Splitter};
use keytrail_rows::json::JsonTree;
use keytrail_rows::normalize::{
    AccountHints, ColumnCondition, ColumnSet, EventFilter, Record, RowDemand, RowNeeds, TableNeeds, is_cloudtrail,
    normalize_needed, passes, screens_out,
};
use keytrail_rows::schema::{COLUMNS, Column, events_schema_of};

#[global_allocator]
static ALLOCATOR: keytrail_limits::CountingAllocator = keytrail_limits::CountingAllocator;

const OBJECT_BYTES_MAX: usize = 64 << 20;

const STAGES: [&str; 8] = [
    "read files",
    "inflate",
    "split",
    "split and screen",
    "parse",
    "content hash",
    "rows of a question",
    "rows of all columns",
];

/// What `dynamodb_key_attempts` needs to say who was denied.
const QUESTION: [Column; 6] = [
    Column::EventId,
    Column::Principal,
    Column::Outcome,
    Column::OperationClass,
    Column::ViaService,
    Column::EventName,
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: stages LOGS [RUNS]")?;
    let runs: usize = arguments.next().map_or(Ok(3), |runs| runs.parse())?.max(1);
    let mut logs = Vec::new();
    find_logs(Path::new(&folder), &mut logs)?;
    logs.sort();
    let mut laps: Vec<[Lap; STAGES.len()]> = Vec::new();
    let mut found = Found::default();
    for _ in 0..runs {
        found = Found::default();
        let mut stages = Stages::new();
        logs.iter().try_for_each(|log| stages.object(log, &mut found))?;
        laps.push(stages.spent);
    }
    println!("{} objects, {} bytes, {} records, {} parsed", logs.len(), found.bytes, found.records, found.parsed);
    println!("row bytes {} of the question, {} of all columns", found.narrow, found.wide);
    for (stage, name) in STAGES.iter().enumerate() {
        let mut times: Vec<f64> = laps.iter().map(|spent| spent[stage].time.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        let (median, least) = (times[times.len() / 2], times[0]);
        let allocations = laps.last().map_or(0, |spent| spent[stage].allocations);
        println!("{name:22} {median:7.3} s (least {least:.3}) {allocations:9} allocations");
    }
    Ok(())
}

fn find_logs(folder: &Path, logs: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_logs(&path, logs)?;
        } else if path.extension().is_some_and(|extension| extension == "gz") {
            logs.push(path);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Found {
    bytes: usize,
    records: usize,
    parsed: usize,
    narrow: usize,
    wide: usize,
}

/// What one stage took.
#[derive(Clone, Copy, Default)]
struct Lap {
    time: Duration,
    allocations: u64,
}

/// The time and the allocations at which a lap began.
struct Watch(Instant, u64);

impl Watch {
    fn start() -> Watch {
        Watch(Instant::now(), keytrail_limits::allocations())
    }

    /// Ends a lap and begins the next.
    fn lap(&mut self, lap: &mut Lap) {
        lap.time += self.0.elapsed();
        lap.allocations += keytrail_limits::allocations() - self.1;
        *self = Watch::start();
    }
}

struct Stages {
    spent: [Lap; STAGES.len()],
    inflated: Vec<u8>,
    tree: JsonTree,
    narrow: Rows,
    wide: Rows,
}

impl Stages {
    fn new() -> Stages {
        let crypto = ColumnCondition { column: Column::OperationClass, values: Some(vec!["crypto".to_owned()]) };
        let through_dynamodb =
            ColumnCondition { column: Column::ViaService, values: Some(vec!["dynamodb".to_owned()]) };
        let all: Vec<Column> = (0..COLUMNS.len()).map(Column::from_index).collect();
        Stages {
            spent: [Lap::default(); STAGES.len()],
            inflated: Vec::new(),
            tree: JsonTree::new(),
            narrow: Rows::new(&QUESTION, vec![crypto, through_dynamodb]),
            wide: Rows::new(&all, Vec::new()),
        }
    }

    fn object(&mut self, log: &Path, found: &mut Found) -> Result<(), Box<dyn Error>> {
        let mut watch = Watch::start();
        let stored = fs::read(log)?;
        watch.lap(&mut self.spent[0]);
        let document = inflate::one_shot(&stored, OBJECT_BYTES_MAX, &mut self.inflated).ok_or("not one gzip member")?;
        watch.lap(&mut self.spent[1]);
        Splitter::default()
            .advance(&DocumentPiece::whole(document), &mut |_| found.records += 1)
            .map_err(|_| "not a log")?;
        watch.lap(&mut self.spent[2]);
        let mut items: Vec<DocumentItem> = Vec::new();
        let mut screened = Splitter::new(Some(screens_out));
        screened.advance(&DocumentPiece::whole(document), &mut |item| items.push(item)).map_err(|_| "not a log")?;
        watch.lap(&mut self.spent[3]);
        found.bytes += document.len();
        for item in items.iter().filter(|item| !item.is_screened_out) {
            let mut watch = Watch::start();
            let value = self.tree.parse(item.bytes).map_err(|_| "not JSON")?;
            watch.lap(&mut self.spent[4]);
            let hash = value.canonical_hash(1);
            watch.lap(&mut self.spent[5]);
            found.parsed += 1;
            for (rows, stage, bytes) in [(&mut self.narrow, 6, &mut found.narrow), (&mut self.wide, 7, &mut found.wide)]
            {
                let record = Record::of(value);
                if is_cloudtrail(&record) && passes(EventFilter::KeyUse, &record) {
                    *bytes += rows.add(&record, hash);
                }
                watch.lap(&mut self.spent[stage]);
            }
        }
        Ok(())
    }
}

/// The rows that some columns of the records make.
struct Rows {
    needs: RowNeeds,
    builder: RowBuilder,
}

impl Rows {
    fn new(columns: &[Column], conditions: Vec<ColumnCondition>) -> Rows {
        let needs = RowNeeds::new([TableNeeds { conditions, columns: ColumnSet::of(columns), since: None }]);
        Rows { needs, builder: RowBuilder::new(events_schema_of(columns), columns) }
    }

    fn add(&mut self, record: &Record<'_>, hash: u64) -> usize {
        let from = Provenance { object_uri: "", record_index: 0, content_hash: Some([hash, hash]) };
        normalize_needed(record, &AccountHints::default(), &self.needs, &mut |row, demand| {
            if demand == RowDemand::Wanted {
                self.builder.append(row, &from);
            }
        });
        if self.builder.is_full() { self.builder.finish().get_array_memory_size() } else { 0 }
    }
}
