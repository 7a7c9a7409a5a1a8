//! Decodes any bytes as an object, whole and streamed, and holds both to the same answer.
//! The first byte picks the name that the object goes by; the rest are its bytes.
#![no_main]

use std::io::{self, Read};

use keytrail::decode::{Damaged, Decoded, Decoder, Object, Status};
use libfuzzer_sys::fuzz_target;

const WHOLE_BYTES_MAX: usize = 64 << 20;
/// Small enough that all but the smallest inputs stream.
const STREAMED_BYTES_MAX: usize = 16;

#[derive(Debug, PartialEq)]
struct Outcome {
    status: Status,
    error: Option<String>,
    /// Offset and bytes of each record, or offset and reason of each fault.
    pieces: Vec<(u64, Vec<u8>)>,
}

fn decoded(name: &str, bytes: &[u8], one_shot_bytes_max: usize, damaged: Damaged) -> Outcome {
    let owned = bytes.to_vec();
    let open = || -> io::Result<Box<dyn Read>> { Ok(Box::new(io::Cursor::new(owned.clone()))) };
    let object = Object { name, bytes: bytes.len() as u64, open: &open };
    let mut pieces = Vec::new();
    let summary = Decoder::new(one_shot_bytes_max, damaged, None).decode(&object, &mut |piece| match piece {
        Decoded::Record { value, offset, .. } => pieces.push((offset, value.raw().to_vec())),
        Decoded::Fault(fault) => pieces.push((fault.offset, fault.reason.as_bytes().to_vec())),
        Decoded::Irrelevant => unreachable!("there is no prefilter"),
    });
    Outcome { status: summary.status, error: summary.error, pieces }
}

fuzz_target!(|data: &[u8]| {
    let Some((pick, bytes)) = data.split_first() else { return };
    let name = if pick % 2 == 0 { "x.json.gz" } else { "x.json" };
    let whole = decoded(name, bytes, WHOLE_BYTES_MAX, Damaged::GivesNothing);
    let streamed = decoded(name, bytes, STREAMED_BYTES_MAX, Damaged::GivesNothing);
    assert_eq!(whole, streamed);
    let gives = matches!(whole.status, Status::Read | Status::Flagged);
    assert!(gives || whole.pieces.is_empty(), "a damaged object gave {} pieces", whole.pieces.len());
    let salvaged = decoded(name, bytes, WHOLE_BYTES_MAX, Damaged::Salvage);
    assert!(salvaged.pieces.len() >= whole.pieces.len());
});
