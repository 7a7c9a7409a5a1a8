//! Turns the bytes of one object into records, each checked, or into named faults.
//! In: a reader of the object and its name. Out: [`DecodedPiece`]s in document order and one [`DecodeSummary`].
//! Damage is found before the first record is given away, so a damaged object gives nothing; a broken record is
//! quarantined alone. Never reads a clock, and never interprets a record.

mod bracket_scan;
pub mod envelope;
pub mod inflate;
mod look;
mod salvage;
mod signs;
pub mod split;
mod unwrap;

use std::io::{self, Read};

use inflate::{InflateStream, NamedEncoding};
use salvage::{Salvaged, Salvager};
use sha2::{Digest as _, Sha256};
use split::{BytesAhead, DocumentItem, DocumentPiece, DocumentShape, Splitter};

use crate::json::RecordScreen;
use crate::objects::{FaultReason, ObjectChange, ObjectFlag, ObjectOutcome, SkipReason};

pub use envelope::{DecodedPiece, EnvelopeFault};
pub use look::{HEAD_BYTES, may_be_log};

/// The outcome of one object as a whole.
#[derive(Debug, Clone)]
pub struct DecodeSummary {
    pub outcome: ObjectOutcome,
    pub inflated_bytes: u64,
    /// Of the inflated bytes, where the decoder was asked for it and could read them all.
    pub sha256: Option<Box<[u8; 32]>>,
}

impl DecodeSummary {
    fn of(outcome: ObjectOutcome, inflated_bytes: u64) -> DecodeSummary {
        DecodeSummary { outcome, inflated_bytes, sha256: None }
    }

    /// The object could not be opened or read.
    fn unreadable(error: &io::Error) -> DecodeSummary {
        let outcome = match error.kind() {
            io::ErrorKind::NotFound => ObjectOutcome::Missing,
            io::ErrorKind::PermissionDenied => ObjectOutcome::Quarantined(FaultReason::PermissionDenied),
            _ => ObjectOutcome::Quarantined(FaultReason::Unreadable),
        };
        DecodeSummary::of(outcome, 0)
    }
}

/// The treatment of damaged objects: they give nothing, or the records that are whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamagePolicy {
    GivesNothing,
    Salvage,
}

/// The hash that is made of the inflated bytes of whole objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectDigest {
    None,
    Sha256,
}

/// The reason to take an object for a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenBy {
    /// Its name promises records, so content of another kind is damage.
    Name,
    /// Its content decides: content of another kind is skipped.
    Content,
}

/// An object to decode: its name, its size as stored, and a way to open it, twice if it is large or its content decides.
pub struct ObjectSource<'a> {
    pub name: &'a str,
    pub bytes: u64,
    pub taken_by: TakenBy,
    pub open: &'a dyn Fn() -> io::Result<Box<dyn Read>>,
}

impl ObjectSource<'_> {
    /// Looks at the first bytes of an object whose content decides.
    fn may_be_log(&self) -> io::Result<bool> {
        if self.taken_by == TakenBy::Name {
            return Ok(true);
        }
        let mut head = Vec::with_capacity(HEAD_BYTES);
        (self.open)()?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        Ok(may_be_log(self.name, &head))
    }
}

/// Inflated bytes up to which an odd object is held whole; a plain one may be as large as the decoder's bound.
const ODD_BYTES_MAX: usize = 8 << 20;

/// Most items whose places are remembered between the proof of a document and its reading.
const PLACES_MAX: usize = 1 << 20;

/// The place of an item in the document at hand.
struct ItemPlace {
    offset: u32,
    length: u32,
    item: DocumentItem<'static>,
}

/// Decodes objects one after another, with buffers that it keeps.
pub struct Decoder {
    one_shot_bytes_max: usize,
    damaged: DamagePolicy,
    stored: StoredBytes,
    inflated: Vec<u8>,
    places: Vec<ItemPlace>,
    places_max: usize,
    opener: envelope::EnvelopeOpener,
    screen: Option<RecordScreen>,
    digest: ObjectDigest,
    /// Of the object at hand.
    taken_by: TakenBy,
}

/// The bytes of an object as stored, in a buffer that is used again.
#[derive(Default)]
struct StoredBytes(Vec<u8>);

impl StoredBytes {
    /// Reads an object to its end, or one byte beyond `bytes_max`, and returns the number of bytes. An object of the
    /// size `expected` takes two calls of `read`; the second finds the end.
    fn fill(&mut self, mut reader: impl Read, expected: usize, bytes_max: usize) -> io::Result<usize> {
        let StoredBytes(buffer) = self;
        buffer.resize(buffer.len().max(expected.min(bytes_max) + 1), 0);
        let mut length = 0;
        while length <= bytes_max {
            if length == buffer.len() {
                buffer.resize((length * 2).min(bytes_max + 1), 0);
            }
            match reader.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(length)
    }
}

/// The inflated object, whole or broken, or the news that it does not fit in memory.
enum InflateOutcome {
    Whole(usize, inflate::InflateFlags),
    Broken(usize, inflate::InflateFault),
    Large,
}

impl Decoder {
    /// Objects of up to `one_shot_bytes_max` inflated bytes are held whole, larger ones are streamed, twice. Records
    /// that the screen rules out are counted and not parsed.
    pub fn new(one_shot_bytes_max: usize, damaged: DamagePolicy, screen: Option<RecordScreen>) -> Decoder {
        Decoder {
            one_shot_bytes_max,
            damaged,
            stored: StoredBytes::default(),
            inflated: Vec::new(),
            places: Vec::new(),
            places_max: PLACES_MAX,
            opener: envelope::EnvelopeOpener::default(),
            screen,
            digest: ObjectDigest::None,
            taken_by: TakenBy::Name,
        }
    }

    pub fn with_digest(self, digest: ObjectDigest) -> Decoder {
        Decoder { digest, ..self }
    }

    /// Decodes one object. Everything that `sink` is given belongs to an object that will be `Read` or `Flagged`, or
    /// is salvaged.
    pub fn decode(&mut self, object: &ObjectSource, sink: &mut dyn FnMut(DecodedPiece<'_>)) -> DecodeSummary {
        self.taken_by = object.taken_by;
        match object.may_be_log() {
            Ok(true) => {}
            Ok(false) => return DecodeSummary::of(ObjectOutcome::Skipped(SkipReason::NotALog), 0),
            Err(error) => return DecodeSummary::unreadable(&error),
        }
        let reader = match (object.open)() {
            Ok(reader) => reader,
            Err(error) => return DecodeSummary::unreadable(&error),
        };
        if object.bytes > self.one_shot_bytes_max as u64 {
            return self.decode_large(object, sink);
        }
        let length = match self.stored.fill(reader, object.bytes as usize, self.one_shot_bytes_max) {
            Ok(length) => length,
            Err(error) => return DecodeSummary::unreadable(&error),
        };
        if length > self.one_shot_bytes_max {
            return self.decode_large(object, sink);
        }
        match self.inflate_whole(length, NamedEncoding::from_path(object.name)) {
            InflateOutcome::Whole(length, flags) => {
                let summary = self.decode_whole(length, flags, None, sink);
                let hash = || Box::new(Sha256::digest(&self.inflated[..length]).into());
                DecodeSummary { sha256: (self.digest == ObjectDigest::Sha256).then(hash), ..summary }
            }
            InflateOutcome::Broken(length, fault) => {
                self.decode_whole(length, inflate::InflateFlags::default(), Some(fault), sink)
            }
            InflateOutcome::Large => self.decode_large(object, sink),
        }
    }

    fn inflate_whole(&mut self, length: usize, named: NamedEncoding) -> InflateOutcome {
        let stored = &self.stored.0[..length];
        if named == NamedEncoding::Gzip
            && let Some(document) = inflate::one_shot(stored, self.one_shot_bytes_max, &mut self.inflated)
        {
            return InflateOutcome::Whole(document.len(), inflate::InflateFlags::default());
        }
        self.inflated.clear();
        let mut inflate = InflateStream::new(stored, named);
        let mut chunk = Vec::new();
        loop {
            match inflate.read_chunk(&mut chunk) {
                Ok(more) => {
                    self.inflated.append(&mut chunk);
                    if !more {
                        return InflateOutcome::Whole(self.inflated.len(), inflate.flags);
                    }
                }
                Err(fault) => {
                    self.inflated.append(&mut chunk);
                    return InflateOutcome::Broken(self.inflated.len(), fault);
                }
            }
            if self.inflated.len() > ODD_BYTES_MAX.min(self.one_shot_bytes_max) {
                return InflateOutcome::Large;
            }
        }
    }

    /// Proves a document that is held in memory, then gives away its records.
    fn decode_whole(
        &mut self,
        length: usize,
        flags: inflate::InflateFlags,
        damage: Option<inflate::InflateFault>,
        sink: &mut dyn FnMut(DecodedPiece<'_>),
    ) -> DecodeSummary {
        let document = &self.inflated[..length];
        let (places, places_max) = (&mut self.places, self.places_max);
        places.clear();
        let mut items = 0usize;
        let mut splitter = Splitter::new(self.screen);
        let mut remember = |item: DocumentItem<'_>| {
            items += 1;
            if places.len() < places_max {
                let (offset, length) = (item.offset as u32, item.length as u32);
                places.push(ItemPlace { offset, length, item: DocumentItem { bytes: &[], ..item } });
            }
        };
        let follows = if damage.is_some() { BytesAhead::More } else { BytesAhead::Nothing };
        let proof = splitter.advance(&DocumentPiece::new(document, 0, follows), &mut remember);
        if damage.is_some() && proof.is_ok() {
            let _damage_again = splitter.advance(&DocumentPiece::whole(document), &mut remember);
        }
        let fault = telling(damage, proof.err());
        if let (Some(fault), DamagePolicy::GivesNothing) = (fault, self.damaged) {
            return DecodeSummary::of(ObjectOutcome::Quarantined(fault), length as u64);
        }
        if let Some(fault) = fault {
            return self.salvage_whole(length, fault, sink);
        }
        let may_be_other = self.taken_by == TakenBy::Content && splitter.shape.record_documents == 0;
        if may_be_other && !signs::may_hold_record(document) {
            return DecodeSummary::of(ObjectOutcome::Skipped(SkipReason::NotALog), length as u64);
        }
        self.opener.begin(splitter.shape);
        if items == places.len() {
            for place in places.iter() {
                let bytes = &document[place.offset as usize..][..place.length as usize];
                let bytes = if place.item.fault == Some(split::ItemFault::TooLarge) { &[] } else { bytes };
                self.opener.open(DocumentItem { bytes, ..place.item }, sink);
            }
        } else {
            // A fault here was found by the first pass already, at the same place.
            let _same_as_proof = Splitter::new(self.screen)
                .advance(&DocumentPiece::whole(document), &mut |item| self.opener.open(item, sink));
        }
        DecodeSummary::of(self.outcome(splitter.shape, flags), length as u64)
    }

    /// Gives away the whole records of a damaged document that is held in memory.
    fn salvage_whole(
        &mut self,
        length: usize,
        fault: FaultReason,
        sink: &mut dyn FnMut(DecodedPiece<'_>),
    ) -> DecodeSummary {
        let mut salvager = Salvager::default();
        self.opener.begin(DocumentShape::default());
        let opener = &mut self.opener;
        salvager
            .advance(&self.inflated[..length], 0, BytesAhead::Nothing, &mut |piece| give(opener, piece, fault, sink));
        DecodeSummary::of(salvaged(&salvager, fault), length as u64)
    }

    fn outcome(&self, shape: DocumentShape, flags: inflate::InflateFlags) -> ObjectOutcome {
        if let Some(no_log) = self.opener.no_log() {
            return no_log.clone();
        }
        let mut all = self.opener.flags(shape);
        for (is_set, flag) in [
            (flags.multi_member, ObjectFlag::MultiMember),
            (flags.trailing_data || shape.trailing_data, ObjectFlag::TrailingData),
            (flags.double_gzip, ObjectFlag::DoubleGzip),
            (flags.not_compressed, ObjectFlag::NotCompressed),
            (flags.extension_mismatch, ObjectFlag::ExtensionMismatch),
            (shape.bom, ObjectFlag::Bom),
        ] {
            if is_set {
                all.push(flag);
            }
        }
        if all.is_empty() { ObjectOutcome::Read } else { ObjectOutcome::Flagged(all.into()) }
    }

    /// An object too large to hold: streamed once to prove it, once more to give away its records.
    fn decode_large(&mut self, object: &ObjectSource, sink: &mut dyn FnMut(DecodedPiece<'_>)) -> DecodeSummary {
        let to_prove = DecodePass { screen: None, digest: self.digest };
        let mut may_hold_record = object.taken_by == TakenBy::Name;
        // An item that is too large to look at may be anything.
        let mut look = |item: DocumentItem<'_>| {
            may_hold_record = may_hold_record || item.bytes.is_empty() || signs::may_hold_record(item.bytes);
        };
        let proof = match stream(object, to_prove, &mut self.inflated, &mut look) {
            Ok(proof) => proof,
            Err(error) => return DecodeSummary::unreadable(&error),
        };
        if let (Some(fault), DamagePolicy::GivesNothing) = (proof.fault, self.damaged) {
            return DecodeSummary::of(ObjectOutcome::Quarantined(fault), proof.bytes);
        }
        if let Some(fault) = proof.fault {
            return self.salvage_large(object, &proof, fault, sink);
        }
        if !may_hold_record && proof.shape.record_documents == 0 {
            return DecodeSummary::of(ObjectOutcome::Skipped(SkipReason::NotALog), proof.bytes);
        }
        self.opener.begin(proof.shape);
        let opener = &mut self.opener;
        let to_give = DecodePass { screen: self.screen, digest: ObjectDigest::None };
        match stream(object, to_give, &mut self.inflated, &mut |item| opener.open(item, sink)) {
            Ok(second) if second.fault == proof.fault && second.bytes == proof.bytes => {
                let outcome = self.outcome(proof.shape, proof.flags);
                DecodeSummary { outcome, inflated_bytes: proof.bytes, sha256: proof.sha256 }
            }
            Ok(_) => DecodeSummary::of(ObjectOutcome::Changed(ObjectChange::WhileRead), proof.bytes),
            Err(error) => DecodeSummary::unreadable(&error),
        }
    }

    /// The same of an object too large to hold.
    fn salvage_large(
        &mut self,
        object: &ObjectSource,
        proof: &StreamedObject,
        fault: FaultReason,
        sink: &mut dyn FnMut(DecodedPiece<'_>),
    ) -> DecodeSummary {
        let mut salvager = Salvager::default();
        self.opener.begin(DocumentShape::default());
        let (opener, buffer) = (&mut self.opener, &mut self.inflated);
        let reader = match (object.open)() {
            Ok(reader) => reader,
            Err(error) => return DecodeSummary::unreadable(&error),
        };
        let mut inflate = InflateStream::new(reader, NamedEncoding::from_path(object.name));
        let (mut base, mut bytes, mut chunk) = (0, 0, Vec::new());
        buffer.clear();
        loop {
            let more = inflate.read_chunk(&mut chunk).unwrap_or(false);
            bytes += chunk.len() as u64;
            buffer.append(&mut chunk);
            let follows = if more { BytesAhead::More } else { BytesAhead::Nothing };
            let needed_from = salvager.advance(buffer, base, follows, &mut |piece| give(opener, piece, fault, sink));
            let done = ((needed_from - base) as usize).min(buffer.len());
            buffer.drain(..done);
            base += done as u64;
            if !more {
                break;
            }
        }
        if bytes != proof.bytes {
            return DecodeSummary::of(ObjectOutcome::Changed(ObjectChange::WhileRead), proof.bytes);
        }
        DecodeSummary::of(salvaged(&salvager, fault), proof.bytes)
    }
}

/// The outcome of a damaged object whose records were looked for.
fn salvaged(salvager: &Salvager, fault: FaultReason) -> ObjectOutcome {
    if salvager.records() > 0 { ObjectOutcome::Salvaged(fault) } else { ObjectOutcome::Quarantined(fault) }
}

/// Hands on one piece of a damaged document. What is left of it counts as a record that could not be read.
fn give(
    opener: &mut envelope::EnvelopeOpener,
    piece: Salvaged<'_>,
    fault: FaultReason,
    sink: &mut dyn FnMut(DecodedPiece<'_>),
) {
    match piece {
        Salvaged::Record(item) => opener.open(item, sink),
        Salvaged::Stretch(stretch) => sink(DecodedPiece::Fault(EnvelopeFault {
            reason: fault,
            offset: stretch.offset,
            length: stretch.length,
            bytes: &stretch.head,
        })),
    }
}

/// Of two faults, the one that tells more: damage in storage or on the way explains a broken document.
fn telling(damage: Option<inflate::InflateFault>, broken: Option<split::SplitFault>) -> Option<FaultReason> {
    match (damage, broken) {
        (None | Some(inflate::InflateFault::TooLarge), Some(broken)) => Some(broken.reason()),
        (damage, _) => damage.map(inflate::InflateFault::reason),
    }
}

struct StreamedObject {
    shape: DocumentShape,
    flags: inflate::InflateFlags,
    fault: Option<FaultReason>,
    bytes: u64,
    sha256: Option<Box<[u8; 32]>>,
}

/// The purpose of one pass over an object.
struct DecodePass {
    screen: Option<RecordScreen>,
    digest: ObjectDigest,
}

/// Inflates and splits an object in bounded memory.
fn stream(
    object: &ObjectSource,
    pass: DecodePass,
    buffer: &mut Vec<u8>,
    sink: &mut dyn FnMut(DocumentItem<'_>),
) -> io::Result<StreamedObject> {
    let mut inflate = InflateStream::new((object.open)()?, NamedEncoding::from_path(object.name));
    let mut splitter = Splitter::new(pass.screen);
    let (mut base, mut bytes) = (0u64, 0u64);
    let mut hash = (pass.digest == ObjectDigest::Sha256).then(Sha256::new);
    buffer.clear();
    let mut chunk = Vec::new();
    let (mut damage, mut broken) = (None, None);
    loop {
        let more = inflate.read_chunk(&mut chunk).unwrap_or_else(|fault| {
            damage = Some(fault);
            false
        });
        bytes += chunk.len() as u64;
        if let Some(hash) = &mut hash {
            hash.update(&chunk);
        }
        if broken.is_none() {
            buffer.append(&mut chunk);
            let follows = if more || damage.is_some() { BytesAhead::More } else { BytesAhead::Nothing };
            match splitter.advance(&DocumentPiece::new(buffer, base, follows), &mut |item| sink(item)) {
                Ok(needed_from) => {
                    let done = ((needed_from - base) as usize).min(buffer.len());
                    buffer.drain(..done);
                    base += done as u64;
                }
                Err(fault) => broken = Some(fault),
            }
        }
        chunk.clear();
        if !more {
            break;
        }
    }
    if damage.is_some() && broken.is_none() {
        // The records before the damage can be salvaged, so the document ends here.
        let _damage_again =
            splitter.advance(&DocumentPiece::new(buffer, base, BytesAhead::Nothing), &mut |item| sink(item));
    }
    let fault = telling(damage, broken);
    let sha256 = hash.filter(|_| fault.is_none()).map(|hash| Box::new(hash.finalize().into()));
    Ok(StreamedObject { shape: splitter.shape, flags: inflate.flags, fault, bytes, sha256 })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    type Pieces = (ObjectOutcome, Vec<(u64, Vec<u8>)>);

    fn decoded(bytes: &[u8], one_shot_bytes_max: usize, damaged: DamagePolicy) -> Pieces {
        let owned = bytes.to_vec();
        let open = || -> io::Result<Box<dyn Read>> { Ok(Box::new(io::Cursor::new(owned.clone()))) };
        let object =
            ObjectSource { name: "x.json.gz", bytes: bytes.len() as u64, taken_by: TakenBy::Name, open: &open };
        let mut pieces = Vec::new();
        let summary = Decoder::new(one_shot_bytes_max, damaged, None).decode(&object, &mut |piece| {
            pieces.push(match piece {
                DecodedPiece::Record { value, offset, .. } => (offset, value.raw().to_vec()),
                DecodedPiece::Fault(fault) => (fault.offset, fault.reason.name().as_bytes().to_vec()),
                _ => unreachable!("there is no screen"),
            });
        });
        (summary.outcome, pieces)
    }

    /// Gives its bytes a few at a time, is interrupted each third time, and counts how often it is asked.
    struct Slow<'a> {
        bytes: &'a [u8],
        step: usize,
        calls: usize,
    }

    impl Read for &mut Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.step < usize::MAX && self.calls.is_multiple_of(3) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let step = self.step.min(buffer.len());
            (&mut self.bytes).take(step as u64).read(buffer)
        }
    }

    #[test]
    fn an_object_is_read_to_its_end_whatever_its_size_was_said_to_be() {
        let bytes: Vec<u8> = (0..100_000u32).map(|number| number as u8).collect();
        let mut stored = StoredBytes::default();
        for size in [0, 1, 1000, 99_999, 3000, 100_000] {
            for expected in [0, size, size + 1, size / 2, 2 * size] {
                for step in [7, usize::MAX] {
                    let mut slow = Slow { bytes: &bytes[..size], step, calls: 0 };
                    let length = stored.fill(&mut slow, expected, 1 << 20).unwrap();
                    assert_eq!(stored.0[..length], bytes[..size]);
                    assert!(step < usize::MAX || expected < size || slow.calls <= 2, "{size} {expected}");
                }
            }
        }
        let mut stored = StoredBytes::default();
        let mut slow = Slow { bytes: &bytes, step: usize::MAX, calls: 0 };
        assert_eq!(stored.fill(&mut slow, 10, 5000).unwrap(), 5001);
        let mut stored = StoredBytes::default();
        assert_eq!(stored.fill(&mut Slow { bytes: &bytes, step: 7, calls: 0 }, 0, 5000).unwrap(), 5001);
        assert_eq!(stored.0, bytes[..5001]);
        let broken = (&b"ab"[..]).chain(FailsOnce(Some(io::ErrorKind::BrokenPipe))).chain(&b"c"[..]);
        assert_eq!(stored.fill(broken, 0, 5000).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    /// Fails once, and has ended after that.
    struct FailsOnce(Option<io::ErrorKind>);

    impl Read for FailsOnce {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0.take().map_or(Ok(0), |kind| Err(kind.into()))
        }
    }

    #[test]
    fn an_object_that_cannot_be_read_says_why() {
        use io::ErrorKind::{NotFound, Other, PermissionDenied};
        for (kind, outcome) in [
            (NotFound, ObjectOutcome::Missing),
            (PermissionDenied, ObjectOutcome::Quarantined(FaultReason::PermissionDenied)),
            (Other, ObjectOutcome::Quarantined(FaultReason::Unreadable)),
        ] {
            for (held_max, taken_by) in [(100, TakenBy::Name), (0, TakenBy::Name), (100, TakenBy::Content)] {
                let open = || -> io::Result<Box<dyn Read>> { Err(kind.into()) };
                let object = ObjectSource { name: "x.json", bytes: 7, taken_by, open: &open };
                let mut decoder = Decoder::new(held_max, DamagePolicy::GivesNothing, None);
                assert_eq!(decoder.decode(&object, &mut |_| {}).outcome, outcome, "{kind} {held_max} {taken_by:?}");
            }
        }
    }

    /// Counts the bytes that are read.
    struct Counting(io::Cursor<Vec<u8>>, Rc<Cell<usize>>);

    impl Read for Counting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read(buffer)?;
            self.1.set(self.1.get() + read);
            Ok(read)
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut stored = Vec::new();
        flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut stored).unwrap();
        stored
    }

    /// A log of different records, of a thousand bytes each that gzip makes few of.
    fn log(records: usize) -> String {
        let pad = "x".repeat(950);
        let record = |at| format!(r#"{{"eventName":"{at}","eventID":"{at:08x}","pad":"{pad}"}}"#);
        let records: Vec<String> = (0..records).map(record).collect();
        format!(r#"{{"Records":[{}]}}"#, records.join(","))
    }

    #[test]
    fn an_object_that_fits_is_read_once_and_another_twice() {
        let text = log(4);
        let (plain, stored) = (text.as_bytes(), gzip(text.as_bytes()));
        let (all, few) = (plain.len(), stored.len());
        for (name, bytes, said, held_max, read, outcome) in [
            ("x.json", plain, all, 2 * all, all, ObjectOutcome::Read),
            ("x.json", plain, all, all, all, ObjectOutcome::Read),
            ("x.json", plain, all, all - 1, 2 * all, ObjectOutcome::Read),
            ("x.json", plain, all, 0, 2 * all, ObjectOutcome::Read),
            ("x.json.gz", &stored, few, all, few, ObjectOutcome::Read),
            ("x.json.gz", &stored, few, all - 1, 3 * few, ObjectOutcome::Read),
            ("x.json.gz", &stored, few, few - 1, 2 * few, ObjectOutcome::Read),
            // It is larger than was said.
            ("x.json", plain, 1, all - 1, 3 * all, ObjectOutcome::Read),
            ("x.json.gz", &stored, 1, few - 2, few - 1 + 2 * few, ObjectOutcome::Read),
            ("x.json", &stored, few, all, few, ObjectOutcome::Flagged([ObjectFlag::ExtensionMismatch].into())),
            ("x.json", &stored, few, all - 1, 3 * few, ObjectOutcome::Flagged([ObjectFlag::ExtensionMismatch].into())),
        ] {
            let counted = Rc::new(Cell::new(0));
            let open = || -> io::Result<Box<dyn Read>> {
                Ok(Box::new(Counting(io::Cursor::new(bytes.to_vec()), Rc::clone(&counted))))
            };
            let object = ObjectSource { name, bytes: said as u64, taken_by: TakenBy::Name, open: &open };
            for digest in [ObjectDigest::None, ObjectDigest::Sha256] {
                counted.set(0);
                let mut records = 0;
                let mut decoder = Decoder::new(held_max, DamagePolicy::GivesNothing, None).with_digest(digest);
                let summary = decoder.decode(&object, &mut |_| records += 1);
                let hash = (digest == ObjectDigest::Sha256).then(|| Box::new(Sha256::digest(plain).into()));
                assert_eq!(
                    (summary.outcome, summary.inflated_bytes, summary.sha256, records, counted.get()),
                    (outcome.clone(), all as u64, hash, 4, read),
                    "{name} of {} bytes, said {said}, {held_max} held",
                    bytes.len()
                );
            }
        }
    }

    #[test]
    fn an_object_that_differs_when_it_is_read_again_has_changed() {
        let text = log(3);
        let changed = ObjectOutcome::Changed(ObjectChange::WhileRead);
        for (again, outcome) in [
            (text.clone(), ObjectOutcome::Read),
            (text.replace(":\"1\"", ":\"2\""), ObjectOutcome::Read),
            (format!("{text}\n"), changed.clone()),
            (text.replace("]}", "]]"), changed.clone()),
            (String::new(), changed),
        ] {
            let opened = Cell::new(0);
            let open = || -> io::Result<Box<dyn Read>> {
                opened.set(opened.get() + 1);
                let text = if opened.get() < 3 { &text } else { &again };
                Ok(Box::new(io::Cursor::new(text.clone().into_bytes())))
            };
            let object = ObjectSource { name: "x.json", bytes: 1, taken_by: TakenBy::Name, open: &open };
            let mut decoder = Decoder::new(0, DamagePolicy::GivesNothing, None);
            assert_eq!(decoder.decode(&object, &mut |_| {}).outcome, outcome, "{again}");
        }
    }

    #[test]
    fn a_large_object_gives_the_same_however_much_of_it_is_held() {
        let text = log(600);
        let whole = decoded(text.as_bytes(), 1 << 24, DamagePolicy::GivesNothing);
        assert_eq!(whole.1.len(), 600);
        let is_same = |(outcome, pieces): Pieces| outcome == whole.0 && pieces == whole.1;
        assert!(is_same(decoded(text.as_bytes(), 0, DamagePolicy::GivesNothing)));
        let stored = gzip(text.as_bytes());
        let named = |held_max| decoded(&stored, held_max, DamagePolicy::GivesNothing).1;
        assert!(named(1 << 24) == whole.1 && named(0) == whole.1);
        // A document with more items than places are remembered for.
        let open = || -> io::Result<Box<dyn Read>> { Ok(Box::new(io::Cursor::new(log(9).into_bytes()))) };
        let object = ObjectSource { name: "x.json", bytes: 1, taken_by: TakenBy::Name, open: &open };
        for places_max in [0, 1, 8, 9, 10] {
            let mut records: Vec<usize> = Vec::new();
            let mut decoder = Decoder { places_max, ..Decoder::new(1 << 20, DamagePolicy::GivesNothing, None) };
            decoder.decode(&object, &mut |piece| match piece {
                DecodedPiece::Record { value, .. } => {
                    records.push(value.get("eventName").unwrap().text().unwrap().parse().unwrap())
                }
                _ => unreachable!("all are records"),
            });
            assert_eq!(records, [0, 1, 2, 3, 4, 5, 6, 7, 8], "{places_max}");
        }
    }

    #[test]
    fn what_stands_behind_a_log_is_flagged() {
        use ObjectFlag::{MultiMember, NotCompressed, TrailingData};
        let log = gzip(br#"{"Records":[]}"#);
        for (bytes, flags) in [
            (log.clone(), &[][..]),
            ([&log[..], b"\n"].concat(), &[TrailingData]),
            (gzip(b"{\"Records\":[]} x"), &[TrailingData]),
            ([&log[..], b" x"].concat(), &[TrailingData]),
            ([&log[..], &gzip(b"\n")].concat(), &[MultiMember]),
            (b"{\"Records\":[]} x".to_vec(), &[TrailingData, NotCompressed]),
        ] {
            let expected = if flags.is_empty() { ObjectOutcome::Read } else { ObjectOutcome::Flagged(flags.into()) };
            for held_max in [1 << 20, 0] {
                assert_eq!(decoded(&bytes, held_max, DamagePolicy::GivesNothing).0, expected, "{bytes:?}");
            }
        }
    }

    #[test]
    fn control_messages_are_no_records() {
        let document =
            |message: &str| format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":[{{"message":{message:?}}}]}}"#);
        for (message, piece) in [
            ("CWL CONTROL MESSAGE: Checking health of destination Firehose.", None),
            ("CWL: no JSON", Some("json_syntax")),
            (r#"{"eventName":"CWL CONTROL MESSAGE:"}"#, Some(r#"{"eventName":"CWL CONTROL MESSAGE:"}"#)),
        ] {
            let (_, pieces) = decoded(document(message).as_bytes(), 1 << 20, DamagePolicy::GivesNothing);
            let pieces: Vec<_> = pieces.iter().map(|(_, piece)| String::from_utf8_lossy(piece)).collect();
            assert_eq!(pieces, Vec::from_iter(piece), "{message}");
        }
        // The same as base64 of gzip, which a function is handed.
        for (kind, message, count) in [
            ("CONTROL_MESSAGE", "Checking health of destination.", 0),
            // One with a record in it is no test of the delivery.
            ("CONTROL_MESSAGE", r#"{"eventName":"a"}"#, 1),
            ("DATA_MESSAGE", "CWL CONTROL MESSAGE: hello", 0),
            ("DATA_MESSAGE", r#"{"eventName":"a"}"#, 1),
        ] {
            let payload = document(message).replace("DATA_MESSAGE", kind);
            let mut stored = Vec::new();
            let mut encoder = flate2::read::GzEncoder::new(payload.as_bytes(), flate2::Compression::fast());
            encoder.read_to_end(&mut stored).unwrap();
            let payload = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, stored);
            let event = format!(r#"{{"awslogs":{{"data":"{payload}"}}}}"#);
            assert_eq!(
                decoded(event.as_bytes(), 1 << 20, DamagePolicy::GivesNothing).1.len(),
                count,
                "{kind} {message}"
            );
        }
    }

    #[test]
    fn a_damaged_object_is_the_same_whole_and_streamed() {
        for (text, fault, salvaged) in [
            (
                r#"{"Records":[{"eventName":"a","eventID":"1"},{"eventName":"b","eventID":"2"}]}"#,
                FaultReason::GzipCrc,
                2,
            ),
            (r#"{"Records":[{"eventName":"a","eventID":"1"},{"eventName":"#, FaultReason::GzipCrc, 2),
            (r#"{"Records":[{"eventName":"a","eventID":"1"}},"#, FaultReason::GzipCrc, 1),
            ("<html>", FaultReason::GzipCrc, 0),
            ("[5", FaultReason::GzipCrc, 0),
            (
                r#"ntName":"x"}, {"eventName":"a","eventID":"1"} {"eventName":"b","eventID":"2"}, {"eventN"#,
                FaultReason::GzipCrc,
                4,
            ),
            (&log(600), FaultReason::GzipCrc, 600),
            // Nothing is around the records that would be waited for.
            (log(600).trim_start_matches("{\"Records\":["), FaultReason::GzipCrc, 600),
        ] {
            let mut bytes = gzip(text.as_bytes());
            let crc = bytes.len() - 8;
            bytes[crc] ^= 1;
            let whole = decoded(&bytes, 1 << 20, DamagePolicy::GivesNothing);
            assert_eq!(whole, (ObjectOutcome::Quarantined(fault), Vec::new()), "{text}");
            assert_eq!(decoded(&bytes, 0, DamagePolicy::GivesNothing), whole, "{text}");
            let whole = decoded(&bytes, 1 << 20, DamagePolicy::Salvage);
            let outcome = if salvaged > 0 { ObjectOutcome::Salvaged(fault) } else { ObjectOutcome::Quarantined(fault) };
            assert_eq!((&whole.0, whole.1.len()), (&outcome, salvaged), "{text}");
            assert_eq!(decoded(&bytes, 0, DamagePolicy::Salvage), whole, "{text}");
        }
    }
}
