//! The speed of each stage: inflate, split, normalize, the whole scan, and named queries.
//! In: `sample-logs`, repeated with new event ids until it is a few megabytes. Out: divan's table.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use keytrail::decode::{DamagePolicy, DecodedPiece, Decoder, ObjectSource, TakenBy, inflate, split};
use keytrail::json::{JsonTree, RecordScreen};
use keytrail::normalize::{AccountHints, ColumnSet, EventFilter, Record, normalize, screens_out};
use keytrail::source::{self, Location, Scope};
use keytrail::sql::{Engine, EngineOptions};
use keytrail::table::{IDENTITIES_MAX, LogTable, ScanOptions};
use libdeflater::{CompressionLvl, Compressor};

const DOCUMENT_BYTES: usize = 4 << 20;
const OBJECTS: usize = 16;

// The benches use the allocator of the program.
#[global_allocator]
static ALLOCATOR: keytrail_limits::BoundedAllocator = keytrail_limits::BoundedAllocator;

fn main() {
    divan::main();
}

/// The input of all benches, made once.
struct Input {
    document: Vec<u8>,
    gzip: Vec<u8>,
    records: Vec<Vec<u8>>,
    tree: tempfile::TempDir,
}

static INPUT: LazyLock<Input> = LazyLock::new(|| {
    let samples = sample_records();
    let documents: Vec<Vec<u8>> = (0..OBJECTS).map(|object| document(&samples, object)).collect();
    let tree = tempfile::tempdir().expect("a temporary directory can be made");
    for (number, document) in documents.iter().enumerate() {
        fs::write(tree.path().join(format!("{number:04}.json.gz")), gzip(document)).expect("there is room");
    }
    let first = documents.into_iter().next().expect("there are objects");
    let gzip = gzip(&first);
    let records = samples.iter().map(|record| record.to_string().into_bytes()).collect();
    Input { document: first, gzip, records, tree }
});

fn logs_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("sample-logs is here").map(|e| e.expect("it can be listed").path());
    let mut found: Vec<PathBuf> = entries.flat_map(|p| if p.is_dir() { logs_below(&p) } else { vec![p] }).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == "gz"));
    found.sort();
    found
}

fn sample_records() -> Vec<serde_json::Value> {
    let logs = logs_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-logs"));
    let mut records = Vec::new();
    for log in logs {
        let mut text = String::new();
        let file = File::open(log).expect("sample-logs can be read");
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).expect("sample-logs are sound");
        let mut json: serde_json::Value = serde_json::from_str(&text).expect("sample-logs are JSON");
        if let Some(list) = json["Records"].as_array_mut() {
            records.append(list);
        }
    }
    records
}

/// Repeats the samples, each copy with an event id of its own, so that no copy is a duplicate.
fn document(samples: &[serde_json::Value], object: usize) -> Vec<u8> {
    let mut document = br#"{"Records":["#.to_vec();
    for (number, record) in samples.iter().cycle().enumerate() {
        let mut record = record.clone();
        record["eventID"] = format!("{object:08x}-0000-4000-8000-{number:012x}").into();
        if number > 0 {
            document.push(b',');
        }
        document.extend_from_slice(record.to_string().as_bytes());
        if document.len() > DOCUMENT_BYTES {
            break;
        }
    }
    document.extend_from_slice(b"]}");
    document
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::default());
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor.gzip_compress(bytes, &mut out).expect("the bound is enough");
    out.truncate(length);
    out
}

#[divan::bench]
fn inflate_one_shot(bencher: Bencher) {
    let input = &*INPUT;
    let mut out = Vec::new();
    bencher
        .counter(BytesCount::new(input.document.len()))
        .bench_local(|| black_box(inflate::one_shot(&input.gzip, 64 << 20, &mut out).map(<[u8]>::len)));
}

#[divan::bench]
fn inflate_streamed(bencher: Bencher) {
    let input = &*INPUT;
    bencher.counter(BytesCount::new(input.document.len())).bench_local(|| {
        let mut inflate = inflate::InflateStream::new(input.gzip.as_slice(), inflate::NamedEncoding::Gzip);
        let (mut chunk, mut length) = (Vec::new(), 0);
        while inflate.read_chunk(&mut chunk).expect("the input is sound") {
            length += chunk.len();
            chunk.clear();
        }
        length + chunk.len()
    });
}

#[divan::bench]
fn split_records(bencher: Bencher) {
    let input = &*INPUT;
    bencher.counter(BytesCount::new(input.document.len())).bench_local(|| {
        let mut records = 0;
        let split =
            split::Splitter::default().advance(&split::DocumentPiece::whole(&input.document), &mut |_| records += 1);
        split.expect("the input is sound");
        records
    });
}

/// Inflates, splits, and drops records that the event filter rules out unparsed; `all` parses every record.
#[divan::bench(args = ["key-use", "all"])]
fn decode_object(bencher: Bencher, events: &str) {
    let input = &*INPUT;
    let screen = (events != "all").then_some(screens_out as RecordScreen);
    let mut decoder = Decoder::new(64 << 20, DamagePolicy::GivesNothing, screen);
    let open = || -> io::Result<Box<dyn Read>> { Ok(Box::new(INPUT.gzip.as_slice())) };
    let object =
        ObjectSource { name: "x.json.gz", bytes: input.gzip.len() as u64, taken_by: TakenBy::Name, open: &open };
    bencher.counter(BytesCount::new(input.document.len())).bench_local(|| {
        let mut records = 0;
        decoder.decode(&object, &mut |piece| records += u64::from(matches!(piece, DecodedPiece::Record { .. })));
        records
    });
}

#[divan::bench]
fn normalize_records(bencher: Bencher) {
    let records = &INPUT.records;
    let mut tree = JsonTree::new();
    bencher.counter(ItemsCount::new(records.len())).bench_local(|| {
        for record in records {
            let record = tree.parse(record).expect("the input is sound");
            black_box(normalize(&Record::of(record), &AccountHints::default(), ColumnSet::all()));
        }
    });
}

/// Asks a question of the whole tree, from the listing to the last row.
fn ask(bencher: Bencher, filter: EventFilter, question: &'static str) {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let location = [Location::Path(INPUT.tree.path().to_owned())];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    bencher.counter(BytesCount::new(INPUT.document.len() * OBJECTS)).bench_local(|| {
        let listing = Arc::new(source::list_local(&location, &Scope::default()).expect("the tree can be listed"));
        let progress = Arc::new(|_| {});
        let options = ScanOptions {
            filter,
            scope: Scope::default(),
            threads,
            salvage: false,
            identities_max: IDENTITIES_MAX,
            accepted: Arc::default(),
            progress,
        };
        let limits =
            EngineOptions { threads, memory_bytes_max: 256 << 20, expected: Vec::new(), state_answers: Vec::new() };
        let engine = Engine::over_logs(LogTable::new(listing, options), limits).expect("the session opens");
        runtime.block_on(async {
            let is_name = !question.contains(' ');
            let answer = if is_name { engine.named(question, &[]).await } else { engine.query(question, &[]).await };
            let mut answer = answer.expect("it can be planned");
            let mut rows = 0;
            while let Some(batch) = answer.next().await.expect("the input is sound") {
                rows += batch.num_rows();
            }
            rows
        })
    });
}

#[divan::bench(sample_count = 10)]
fn scan_count(bencher: Bencher) {
    ask(bencher, EventFilter::KeyUse, "select count(*) from events");
}

#[divan::bench(sample_count = 10)]
fn scan_every_column(bencher: Bencher) {
    ask(bencher, EventFilter::All, "select * from events");
}

#[divan::bench(sample_count = 10, args = ["key-users", "dynamodb-use", "denied-attempts", "use-by-hour"])]
fn named_query(bencher: Bencher, name: &'static str) {
    ask(bencher, EventFilter::KeyUse, name);
}
