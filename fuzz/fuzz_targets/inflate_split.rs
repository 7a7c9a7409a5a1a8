//! Decodes any bytes as an object, whole and streamed in small pieces, and holds both to the same answer.
//! The first byte picks the name that the object goes by, how the rest become its bytes, and how large the pieces are.
#![no_main]

use std::io::{self, Read, Write};

use flate2::{Compression, write::GzEncoder};
use keytrail::decode::inflate::{InflateStream, NamedEncoding};
use keytrail::decode::{DamagePolicy, DecodedPiece, Decoder, ObjectDigest, ObjectSource, TakenBy};
use keytrail::objects::ObjectOutcome;
use libfuzzer_sys::{Corpus, fuzz_target};

const WHOLE_BYTES_MAX: usize = 64 << 20;
/// Small enough that all but the smallest inputs stream.
const STREAMED_BYTES_MAX: usize = 16;
/// What inflates to more is left to the tests of bombs: here it would only take time from others.
const INFLATED_BYTES_MAX: usize = 4 << 20;
/// Most pieces of one input, for the same reason.
const PIECES_MAX: usize = 256;

#[derive(Debug, PartialEq)]
struct Outcome {
    outcome: ObjectOutcome,
    /// Offset and bytes of each record, or offset and reason of each fault.
    pieces: Vec<(u64, Vec<u8>)>,
    /// Of an object that gives its records: how long its text is, and its hash.
    text: Option<(u64, Option<Box<[u8; 32]>>)>,
}

impl Outcome {
    fn gives(&self) -> bool {
        self.outcome.status().is_read()
    }
}

/// Gives a few bytes at a time, as a slow connection would.
struct Pieces {
    bytes: io::Cursor<Vec<u8>>,
    length: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.length.min(buffer.len());
        self.bytes.read(&mut buffer[..length])
    }
}

struct Input<'a> {
    name: &'a str,
    bytes: &'a [u8],
    piece_bytes: usize,
}

impl Input<'_> {
    fn decoded(&self, one_shot_bytes_max: usize, damaged: DamagePolicy) -> Outcome {
        let open = || -> io::Result<Box<dyn Read>> {
            let bytes = io::Cursor::new(self.bytes.to_vec());
            if one_shot_bytes_max == WHOLE_BYTES_MAX {
                return Ok(Box::new(bytes));
            }
            Ok(Box::new(Pieces { bytes, length: self.piece_bytes }))
        };
        let object =
            ObjectSource { name: self.name, bytes: self.bytes.len() as u64, taken_by: TakenBy::Name, open: &open };
        let mut pieces = Vec::new();
        let mut decoder = Decoder::new(one_shot_bytes_max, damaged, None).with_digest(ObjectDigest::Sha256);
        let summary = decoder.decode(&object, &mut |piece| match piece {
            DecodedPiece::Record { value, offset, .. } => pieces.push((offset, value.raw().to_vec())),
            DecodedPiece::Fault(fault) => pieces.push((fault.offset, fault.reason.name().as_bytes().to_vec())),
            _ => unreachable!("there is no screen"),
        });
        let mut outcome = Outcome { outcome: summary.outcome, pieces, text: None };
        outcome.text = outcome.gives().then_some((summary.inflated_bytes, summary.sha256));
        outcome
    }

    fn is_bomb(&self) -> bool {
        let mut inflate = InflateStream::new(self.bytes, NamedEncoding::from_path(self.name));
        let mut text = Vec::new();
        while let Ok(true) = inflate.read_chunk(&mut text) {
            if text.len() > INFLATED_BYTES_MAX {
                return true;
            }
        }
        false
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn object(how: u8, rest: &[u8]) -> Vec<u8> {
    let (first, second) = rest.split_at(rest.len() / 2);
    match how % 4 {
        0 => rest.to_vec(),
        1 => gzip(rest),
        2 => [gzip(first), gzip(second)].concat(),
        _ => gzip(&gzip(rest)),
    }
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some((&pick, rest)) = data.split_first() else { return Corpus::Reject };
    let bytes = object(pick >> 1, rest);
    let piece_bytes = (1 + 7 * usize::from(pick >> 3)).max(bytes.len() / PIECES_MAX);
    let input = Input { name: if pick % 2 == 0 { "x.json.gz" } else { "x.json" }, bytes: &bytes, piece_bytes };
    if input.is_bomb() {
        return Corpus::Reject;
    }
    let whole = input.decoded(WHOLE_BYTES_MAX, DamagePolicy::GivesNothing);
    assert_eq!(whole, input.decoded(STREAMED_BYTES_MAX, DamagePolicy::GivesNothing));
    assert!(whole.gives() || whole.pieces.is_empty(), "a damaged object gave {} pieces", whole.pieces.len());
    let salvaged = input.decoded(WHOLE_BYTES_MAX, DamagePolicy::Salvage);
    assert_eq!(salvaged, input.decoded(STREAMED_BYTES_MAX, DamagePolicy::Salvage));
    assert!(salvaged.pieces.len() >= whole.pieces.len());
    Corpus::Keep
});
