//! Finds the records of a document without parsing them, in one pass and in constant memory.
//! In: inflated bytes, in one piece or in growing pieces. Out: [`DocumentItem`]s, each the bytes of one record or
//! wrapper with its offset, and the shape of the document around them; or the [`SplitFault`] that makes the document
//! unusable. An item is bounded by its brackets alone, so a fault inside one cannot take its neighbours along.
//! Never looks inside an item, except to note the places of its own members for the screen.

use std::borrow::Cow;

use super::bracket_scan::BracketScan;
pub use super::bracket_scan::BytesAhead;
use super::signs;
use crate::json::{self, RecordScreen};
use crate::objects::FaultReason;

/// Largest record, in bytes.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// The reason that a document gives nothing, as `objects.error` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitFault {
    Json(json::JsonFault),
    EmptyDocument,
    NotJson,
    Encoding,
    Html,
    S3Error,
    EnvelopeUnknown,
    RecordsType,
}

impl SplitFault {
    pub fn reason(self) -> FaultReason {
        match self {
            SplitFault::Json(fault) => fault.reason(),
            SplitFault::EmptyDocument => FaultReason::EmptyDocument,
            SplitFault::NotJson => FaultReason::NotJson,
            SplitFault::Encoding => FaultReason::JsonEncoding,
            SplitFault::Html => FaultReason::EnvelopeHtml,
            SplitFault::S3Error => FaultReason::EnvelopeS3Error,
            SplitFault::EnvelopeUnknown => FaultReason::EnvelopeUnknown,
            SplitFault::RecordsType => FaultReason::EnvelopeRecordsType,
        }
    }
}

const SYNTAX: SplitFault = SplitFault::Json(json::JsonFault::Syntax);
const TRUNCATED: SplitFault = SplitFault::Json(json::JsonFault::Truncated);

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The time stamp that an export task of CloudWatch Logs writes before each message; a zero stands for any digit.
const STAMP: &[u8; 25] = b"0000-00-00T00:00:00.000Z ";

pub(super) fn is_stamped(bytes: &[u8]) -> bool {
    let is_like = |(stamp, byte): (&u8, &u8)| if *stamp == b'0' { byte.is_ascii_digit() } else { stamp == byte };
    bytes.get(STAMP.len()) == Some(&b'{') && STAMP.iter().zip(bytes).all(is_like)
}

/// The surroundings of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemContainer {
    /// `{"Records":[…]}`, as CloudTrail writes it.
    Records,
    /// `{"Events":[…]}`: an answer of LookupEvents.
    Events,
    /// `{"logEvents":[…]}`: a CloudWatch Logs subscription record.
    LogEvents,
    /// A top-level array.
    Array,
    /// A top-level object: one record, a line of NDJSON, or a wrapper.
    Document,
    /// Members of a document that stand beside its array of records, as they are written: a look decides if they hold one.
    Beside,
}

/// One bounded piece of a document.
#[derive(Debug, Clone, Copy)]
pub struct DocumentItem<'b> {
    /// Empty when the item is too large to hold.
    pub bytes: &'b [u8],
    pub offset: u64,
    pub length: u64,
    pub around: ItemContainer,
    pub fault: Option<ItemFault>,
    /// The screen found it certainly not wanted.
    pub is_screened_out: bool,
}

/// The reason that one item is quarantined alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemFault {
    TooLarge,
    /// A line of NDJSON that is no document, or one between documents that may hold a record.
    Line,
}

impl ItemFault {
    pub fn reason(self) -> FaultReason {
        match self {
            ItemFault::TooLarge => FaultReason::RecordTooLarge,
            ItemFault::Line => FaultReason::JsonSyntax,
        }
    }
}

/// Oddities of a document that was read whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DocumentShape {
    pub bom: bool,
    pub documents: u64,
    pub record_documents: u64,
    pub trailing_data: bool,
    pub array: bool,
    /// A member that no writer of records is known to write stands beside them.
    pub unknown_member: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SplitState {
    Start,
    /// Inside a top-level object, before a key or `}`.
    Key,
    /// Inside a top-level object, after a member.
    AfterMember,
    /// A member's value that holds no items.
    Skip,
    /// Inside an array of items, which may have none.
    BeforeFirstItem,
    /// Behind a comma.
    BeforeNextItem,
    AfterItem,
    InItem,
    /// Text between documents, up to the end of its line.
    Between(StrayText),
}

/// Text between documents, as far as it has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StrayText {
    Plain,
    /// A brace or the first byte of a gzip is in it, so it may hold a record that does not begin as one.
    MayHold,
}

/// A member of a document, as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KnownMember {
    Items(ItemContainer),
    /// It holds none, as far as its name tells. The writers of such documents begin a list or an object under it so.
    Beside(Option<u8>),
}

impl KnownMember {
    /// Names compare as text, so an escape in one makes it no other name.
    fn of(name: &str) -> KnownMember {
        match name {
            "Records" => KnownMember::Items(ItemContainer::Records),
            "Events" => KnownMember::Items(ItemContainer::Events),
            "logEvents" => KnownMember::Items(ItemContainer::LogEvents),
            "subscriptionFilters" => KnownMember::Beside(Some(b'[')),
            "ResponseMetadata" => KnownMember::Beside(Some(b'{')),
            _ => KnownMember::Beside(None),
        }
    }
}

/// The text of a key, from its bytes with both quotes.
fn key_text(quoted: &[u8]) -> Result<Cow<'_, str>, SplitFault> {
    let plain = &quoted[1..quoted.len() - 1];
    match std::str::from_utf8(plain) {
        Ok(text) if memchr::memchr(b'\\', plain).is_none() => Ok(Cow::Borrowed(text)),
        _ => {
            let mut tree = json::JsonTree::new();
            let value = tree.parse(quoted).map_err(SplitFault::Json)?;
            Ok(Cow::Owned(value.text().unwrap_or_default().into_owned()))
        }
    }
}

/// Bytes of a document, by the offset at which they stand in it.
pub struct DocumentPiece<'b> {
    bytes: &'b [u8],
    base: u64,
    follows: BytesAhead,
}

/// The resumable splitter, with a screen for the items of `Records`. Call [`Splitter::advance`] with the unconsumed
/// bytes and more, until nothing follows.
pub struct Splitter {
    state: SplitState,
    /// Absolute offset of the next byte to look at.
    at: u64,
    scan: BracketScan,
    item_start: u64,
    around: ItemContainer,
    /// Start of the top-level object that may turn out to be an item itself.
    document_start: u64,
    document_known: bool,
    /// The arrays of items that the document at hand has had, a bit for each name.
    arrays_seen: u8,
    /// A list or object that no writer of records is known to write stands in the document at hand.
    has_unknown: bool,
    screen: Option<RecordScreen>,
    /// The document just closed stood on one line: if the line ends with it, the rest are lines as well.
    one_line: bool,
    ndjson: bool,
    pub shape: DocumentShape,
}

impl Default for Splitter {
    fn default() -> Splitter {
        Splitter {
            state: SplitState::Start,
            at: 0,
            scan: BracketScan::default(),
            item_start: 0,
            around: ItemContainer::Document,
            document_start: 0,
            document_known: false,
            arrays_seen: 0,
            has_unknown: false,
            screen: None,
            one_line: false,
            ndjson: false,
            shape: DocumentShape::default(),
        }
    }
}

/// Says if [`Splitter::advance`] can go on with the bytes it has.
enum SplitStep {
    On,
    More,
}

impl Splitter {
    pub fn new(screen: Option<RecordScreen>) -> Splitter {
        Splitter { screen, ..Splitter::default() }
    }

    /// Consumes what it can of `piece`. Returns the offset from which bytes must be given again.
    pub fn advance<'b>(
        &mut self,
        piece: &DocumentPiece<'b>,
        sink: &mut impl FnMut(DocumentItem<'b>),
    ) -> Result<u64, SplitFault> {
        loop {
            match self.step(piece, sink)? {
                SplitStep::On => {}
                SplitStep::More if piece.is_last() => return self.end().map(|()| self.at),
                SplitStep::More => return Ok(self.needed_from()),
            }
        }
    }

    fn step<'b>(
        &mut self,
        piece: &DocumentPiece<'b>,
        sink: &mut impl FnMut(DocumentItem<'b>),
    ) -> Result<SplitStep, SplitFault> {
        match self.state {
            SplitState::Start => self.start(piece),
            SplitState::Key => self.key(piece, sink),
            SplitState::AfterMember => self.after_member(piece, sink),
            SplitState::Skip => Ok(self.skip(piece, sink)),
            SplitState::BeforeFirstItem => self.before_first_item(piece),
            SplitState::BeforeNextItem => self.before_item(piece),
            SplitState::InItem => self.in_item(piece, sink),
            SplitState::AfterItem => self.after_item(piece),
            SplitState::Between(stray) => Ok(self.between(piece, stray, sink)),
        }
    }

    /// Bytes before this offset are not needed again.
    fn needed_from(&self) -> u64 {
        let keep = match self.state {
            SplitState::InItem | SplitState::Between(_) => self.item_start,
            SplitState::Skip if self.document_known => self.item_start,
            SplitState::Key | SplitState::AfterMember | SplitState::Skip if !self.document_known => self.document_start,
            _ => self.at,
        };
        if self.at - keep > RECORD_BYTES_MAX as u64 { self.at } else { keep }
    }

    fn end(&self) -> Result<(), SplitFault> {
        match self.state {
            SplitState::Start if self.shape.documents == 0 => Err(SplitFault::EmptyDocument),
            SplitState::Start => Ok(()),
            SplitState::InItem | SplitState::Skip if self.scan.depth_seen() > json::DEPTH_MAX as u32 => {
                Err(SplitFault::Json(json::JsonFault::Depth))
            }
            _ => Err(TRUNCATED),
        }
    }

    fn start(&mut self, piece: &DocumentPiece) -> Result<SplitStep, SplitFault> {
        if self.at == 0 {
            if piece.rest(0).len() < 5 && !piece.is_last() {
                return Ok(SplitStep::More);
            }
            if piece.rest(0).starts_with(BOM) {
                self.shape.bom = true;
                self.at = 3;
            }
        }
        if std::mem::take(&mut self.one_line) {
            match piece.rest(self.at).first() {
                None if !piece.is_last() => {
                    self.one_line = true;
                    return Ok(SplitStep::More);
                }
                next => self.ndjson = next == Some(&b'\n'),
            }
        }
        let Some(byte) = self.next_solid(piece) else {
            return Ok(SplitStep::More);
        };
        let rest = piece.rest(self.at);
        if byte.is_ascii_digit() && rest.len() <= STAMP.len() && !piece.is_last() {
            return Ok(SplitStep::More);
        }
        let is_later = self.shape.documents > 0;
        if is_later && BOM.starts_with(&rest[..rest.len().min(BOM.len())]) {
            if rest.len() < BOM.len() && !piece.is_last() {
                return Ok(SplitStep::More);
            }
            self.shape.bom = true;
            self.at += rest.len().min(BOM.len()) as u64;
            return Ok(SplitStep::On);
        }
        // A line of a program's own log begins so too.
        if is_later && byte == b'[' {
            match rest[1..].iter().find(|byte| !byte.is_ascii_whitespace()) {
                None if !piece.is_last() => return Ok(SplitStep::More),
                Some(b'{' | b'[' | b']' | b'"') => {}
                _ => {
                    self.begin_between();
                    return Ok(SplitStep::On);
                }
            }
        }
        self.begin(piece, byte)
    }

    /// Begins the thing that `byte` begins: a document, text before one, or something that is no document.
    fn begin(&mut self, piece: &DocumentPiece, byte: u8) -> Result<SplitStep, SplitFault> {
        let rest = piece.rest(self.at);
        let is_later = self.shape.documents > 0;
        match byte {
            _ if is_stamped(rest) => {
                self.at += STAMP.len() as u64;
                self.ndjson = true;
            }
            b'{' => {
                self.document_start = self.at;
                self.document_known = false;
                self.arrays_seen = 0;
                self.has_unknown = false;
                if self.ndjson {
                    self.begin_item(ItemContainer::Document);
                    return Ok(SplitStep::On);
                }
                self.at += 1;
                self.state = SplitState::Key;
            }
            b'[' => {
                self.at += 1;
                self.around = ItemContainer::Array;
                self.shape.array = true;
                self.document_known = true;
                self.state = SplitState::BeforeFirstItem;
            }
            // A text of JSON, as tools print one that was chosen out of an answer.
            b'"' if matches!(rest.get(1), Some(b'{' | b'[')) => self.begin_item(ItemContainer::Document),
            // RFC 7464 puts this byte before each document.
            0x1e if is_later => self.at += 1,
            0 if is_later => {
                self.shape.trailing_data = true;
                self.at += rest.iter().take_while(|byte| **byte == 0).count() as u64;
            }
            _ if is_later => self.begin_between(),
            _ => return self.not_a_document(piece),
        }
        Ok(SplitStep::On)
    }

    fn begin_between(&mut self) {
        self.item_start = self.at;
        self.state = SplitState::Between(StrayText::Plain);
    }

    /// Goes on after the line. A line that may hold a record is quarantined, and one that is JSON is an item, though no
    /// record; for any other the flag says enough.
    fn between<'b>(
        &mut self,
        piece: &DocumentPiece<'b>,
        stray: StrayText,
        sink: &mut impl FnMut(DocumentItem<'b>),
    ) -> SplitStep {
        let rest = piece.rest(self.at);
        let line = memchr::memchr(b'\n', rest);
        let text = &rest[..line.unwrap_or(rest.len())];
        let may_hold = stray == StrayText::MayHold || memchr::memchr2(b'{', 0x1f, text).is_some();
        self.at += text.len() as u64;
        if line.is_none() && !piece.is_last() {
            self.state = SplitState::Between(if may_hold { StrayText::MayHold } else { StrayText::Plain });
            return SplitStep::More;
        }
        let item = piece.item(self.item_start, self.at - self.item_start, ItemContainer::Document);
        let is_json = !may_hold && json::JsonTree::new().parse(item.bytes).is_ok();
        self.shape.trailing_data |= !is_json;
        if may_hold {
            self.shape.documents += 1;
            sink(DocumentItem { fault: item.fault.or(Some(ItemFault::Line)), ..item });
        } else if is_json {
            self.shape.documents += 1;
            sink(item);
        }
        self.state = SplitState::Start;
        SplitStep::On
    }

    /// Names the thing that stands in place of a document.
    fn not_a_document(&self, piece: &DocumentPiece) -> Result<SplitStep, SplitFault> {
        const HEAD_BYTES: usize = 512;
        let rest = piece.rest(self.at);
        if rest.len() < HEAD_BYTES && !piece.is_last() {
            return Ok(SplitStep::More);
        }
        let head = &rest[..rest.len().min(HEAD_BYTES)];
        let utf16_or_32 = head.starts_with(b"\xff\xfe")
            || head.starts_with(b"\xfe\xff")
            || head.starts_with(b"\0{")
            || head.starts_with(b"\0\0\0{");
        Err(match head[0] {
            _ if utf16_or_32 => SplitFault::Encoding,
            b'<' if memchr::memmem::find(head, b"<Error>").is_some() => SplitFault::S3Error,
            b'<' => SplitFault::Html,
            b'/' | b'#' | 0x0b | 0x0c | b'\'' | b'}' | b']' | b',' | b':' => SYNTAX,
            // A longer text may not be here as a whole.
            _ if rest.len() < HEAD_BYTES && json::JsonTree::new().parse(rest).is_ok() => SplitFault::EnvelopeUnknown,
            _ => SplitFault::NotJson,
        })
    }

    /// The next byte that is not white space; leaves the position on it.
    fn next_solid(&mut self, piece: &DocumentPiece) -> Option<u8> {
        let rest = piece.rest(self.at);
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.at += space as u64;
        rest.get(space).copied()
    }

    fn key<'b>(
        &mut self,
        piece: &DocumentPiece<'b>,
        sink: &mut impl FnMut(DocumentItem<'b>),
    ) -> Result<SplitStep, SplitFault> {
        let Some(byte) = self.next_solid(piece) else {
            return Ok(SplitStep::More);
        };
        if byte == b'}' && self.at == self.document_start + 1 {
            return self.close_document(piece, sink);
        }
        if byte == 0 && self.at == self.document_start + 1 {
            return Err(SplitFault::Encoding);
        }
        if byte != b'"' {
            return Err(SYNTAX);
        }
        let rest = piece.rest(self.at);
        let Some(length) = BracketScan::default().find_end(rest) else {
            return self.wait(rest);
        };
        let (key, mut after) = (&rest[..length], length);
        let space = |at: usize| rest[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        after += space(after);
        match rest.get(after) {
            Some(b':') => after += 1,
            Some(_) => return Err(SYNTAX),
            None => return self.wait(rest),
        }
        after += space(after);
        let Some(&value) = rest.get(after) else {
            return self.wait(rest);
        };
        let key = key_text(key)?;
        let start = self.at;
        self.at += after as u64;
        match KnownMember::of(&key) {
            KnownMember::Items(around) => self.items(around, value, (piece, start), sink),
            KnownMember::Beside(known) => {
                self.has_unknown |= matches!(value, b'[' | b'{') && known != Some(value);
                Ok(self.other_member(start))
            }
        }
    }

    fn wait(&self, rest: &[u8]) -> Result<SplitStep, SplitFault> {
        if rest.len() > RECORD_BYTES_MAX { Err(SYNTAX) } else { Ok(SplitStep::More) }
    }

    /// Begins the array of items of a document, if the value is one. `before` is the piece and the start of the member.
    fn items<'b>(
        &mut self,
        around: ItemContainer,
        value: u8,
        before: (&DocumentPiece<'b>, u64),
        sink: &mut impl FnMut(DocumentItem<'b>),
    ) -> Result<SplitStep, SplitFault> {
        let (piece, start) = before;
        let bit = 1 << around as u8;
        let is_array = value == b'[';
        if self.arrays_seen & bit != 0 && (is_array || self.document_known) {
            return Err(SplitFault::Json(json::JsonFault::DuplicateKey));
        }
        if around == ItemContainer::Records && !is_array {
            return Err(SplitFault::RecordsType);
        }
        self.arrays_seen |= bit;
        if !is_array {
            return Ok(self.other_member(start));
        }
        if !self.document_known && start > self.document_start + 1 {
            self.give_beside(piece, self.document_start + 1..start, sink);
        }
        self.document_known = true;
        self.around = around;
        self.at += 1;
        self.state = SplitState::BeforeFirstItem;
        Ok(SplitStep::On)
    }

    /// Begins a member that holds no items.
    fn other_member(&mut self, start: u64) -> SplitStep {
        self.item_start = start;
        self.scan.begin();
        self.state = SplitState::Skip;
        SplitStep::On
    }

    /// Gives away members beside the records if their bytes have a sign of a record, or cannot be looked at.
    fn give_beside<'b>(
        &self,
        piece: &DocumentPiece<'b>,
        span: std::ops::Range<u64>,
        sink: &mut impl FnMut(DocumentItem<'b>),
    ) {
        let mut item = piece.item(span.start, span.end - span.start, ItemContainer::Beside);
        if item.bytes.is_empty() {
            item.fault = Some(ItemFault::TooLarge);
        }
        if item.fault.is_some() || signs::may_hold_record(item.bytes) {
            sink(item);
        }
    }

    fn skip<'b>(&mut self, piece: &DocumentPiece<'b>, sink: &mut impl FnMut(DocumentItem<'b>)) -> SplitStep {
        let rest = piece.rest(self.at);
        match self.scan.find_end_or_scalar(rest, piece.follows) {
            Some(length) => {
                self.at += length as u64;
                if self.document_known {
                    self.give_beside(piece, self.item_start..self.at, sink);
                }
                self.state = SplitState::AfterMember;
                SplitStep::On
            }
            None => {
                self.at += rest.len() as u64;
                SplitStep::More
            }
        }
    }

    fn after_member<'b>(
        &mut self,
        piece: &DocumentPiece<'b>,
        sink: &mut impl FnMut(DocumentItem<'b>),
    ) -> Result<SplitStep, SplitFault> {
        match self.next_solid(piece) {
            None => return Ok(SplitStep::More),
            Some(b',') => {
                self.at += 1;
                self.state = SplitState::Key;
            }
            Some(b'}') => return self.close_document(piece, sink),
            Some(_) => return Err(SYNTAX),
        }
        Ok(SplitStep::On)
    }

    /// The top-level object ends; without a known array of items it is an item itself.
    fn close_document<'b>(
        &mut self,
        piece: &DocumentPiece<'b>,
        sink: &mut impl FnMut(DocumentItem<'b>),
    ) -> Result<SplitStep, SplitFault> {
        self.at += 1;
        self.shape.documents += 1;
        self.state = SplitState::Start;
        if self.document_known {
            self.shape.record_documents += 1;
            self.shape.unknown_member |= self.has_unknown;
            return Ok(SplitStep::On);
        }
        let length = self.at - self.document_start;
        let item = piece.item(self.document_start, length, ItemContainer::Document);
        self.one_line = memchr::memchr(b'\n', item.bytes).is_none();
        sink(item);
        Ok(SplitStep::On)
    }

    fn before_first_item(&mut self, piece: &DocumentPiece) -> Result<SplitStep, SplitFault> {
        if self.next_solid(piece) == Some(b']') { self.close_items() } else { self.before_item(piece) }
    }

    fn before_item(&mut self, piece: &DocumentPiece) -> Result<SplitStep, SplitFault> {
        match self.next_solid(piece) {
            None => Ok(SplitStep::More),
            Some(b',' | b']' | b'}' | b':') => Err(SYNTAX),
            Some(_) => {
                self.begin_item(self.around);
                Ok(SplitStep::On)
            }
        }
    }

    fn begin_item(&mut self, around: ItemContainer) {
        self.around = around;
        self.item_start = self.at;
        self.scan.begin();
        self.state = SplitState::InItem;
    }

    fn in_item<'b>(
        &mut self,
        piece: &DocumentPiece<'b>,
        sink: &mut impl FnMut(DocumentItem<'b>),
    ) -> Result<SplitStep, SplitFault> {
        let rest = piece.rest(self.at);
        let line = (self.around == ItemContainer::Document).then(|| memchr::memchr(b'\n', rest)).flatten();
        let scanned = &rest[..line.unwrap_or(rest.len())];
        let follows = if line.is_none() { piece.follows } else { BytesAhead::More };
        let end = self.scan.find_end_or_scalar(scanned, follows);
        if end.is_none() && line.is_none() {
            self.at += rest.len() as u64;
            return Ok(SplitStep::More);
        }
        self.at += end.unwrap_or(scanned.len()) as u64;
        let mut item = piece.item(self.item_start, self.at - self.item_start, self.around);
        if end.is_none() {
            item.fault = Some(ItemFault::Line);
        }
        if let Some(screen) = self.screen
            && self.around == ItemContainer::Records
            && item.fault.is_none()
        {
            item.is_screened_out = self.scan.outline(item.bytes).is_some_and(|outline| screen(&outline));
        }
        sink(item);
        self.state = SplitState::AfterItem;
        if self.around == ItemContainer::Document {
            self.shape.documents += 1;
            self.state = SplitState::Start;
        }
        Ok(SplitStep::On)
    }

    fn after_item(&mut self, piece: &DocumentPiece) -> Result<SplitStep, SplitFault> {
        match self.next_solid(piece) {
            None => Ok(SplitStep::More),
            Some(b',') => {
                self.at += 1;
                self.state = SplitState::BeforeNextItem;
                Ok(SplitStep::On)
            }
            Some(b']') => self.close_items(),
            Some(_) => Err(SYNTAX),
        }
    }

    fn close_items(&mut self) -> Result<SplitStep, SplitFault> {
        self.at += 1;
        self.state = SplitState::AfterMember;
        if self.around == ItemContainer::Array {
            self.shape.documents += 1;
            self.state = SplitState::Start;
        }
        Ok(SplitStep::On)
    }
}

impl<'b> DocumentPiece<'b> {
    /// `base` is the offset of the first byte in the document.
    pub fn new(bytes: &'b [u8], base: u64, follows: BytesAhead) -> DocumentPiece<'b> {
        DocumentPiece { bytes, base, follows }
    }

    /// A document in one piece.
    pub fn whole(bytes: &'b [u8]) -> DocumentPiece<'b> {
        DocumentPiece::new(bytes, 0, BytesAhead::Nothing)
    }

    fn is_last(&self) -> bool {
        self.follows == BytesAhead::Nothing
    }

    fn rest(&self, at: u64) -> &'b [u8] {
        &self.bytes[((at - self.base) as usize).min(self.bytes.len())..]
    }

    fn item(&self, start: u64, length: u64, around: ItemContainer) -> DocumentItem<'b> {
        let too_large = length > RECORD_BYTES_MAX as u64;
        let bytes = match start.checked_sub(self.base) {
            Some(from) if !too_large => &self.bytes[from as usize..(from + length) as usize],
            _ => &[],
        };
        let fault = too_large.then_some(ItemFault::TooLarge);
        DocumentItem { bytes, offset: start, length, around, fault, is_screened_out: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Items = Vec<(String, Option<ItemFault>)>;

    fn split(bytes: &[u8], chunk: usize) -> Result<(Items, DocumentShape), SplitFault> {
        let mut splitter = Splitter::default();
        let mut items = Vec::new();
        let (mut from, mut to) = (0usize, 0usize);
        loop {
            to = (to + chunk).min(bytes.len());
            let follows = if to == bytes.len() { BytesAhead::Nothing } else { BytesAhead::More };
            let mut sink =
                |item: DocumentItem| items.push((String::from_utf8_lossy(item.bytes).into_owned(), item.fault));
            from = splitter.advance(&DocumentPiece::new(&bytes[from..to], from as u64, follows), &mut sink)? as usize;
            if follows == BytesAhead::Nothing {
                return Ok((items, splitter.shape));
            }
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_items() {
        let pad = "x".repeat(200);
        for document in [
            format!("{{\"Records\":[{{\"a\":\"}}]{pad}\\\"{{\"}},{{\"b\":[1,{{}}]}}, 5 ,null],\"y\":1}} tail"),
            format!("[{{\"a\":1}},\"{pad}\\\\\",[[]]]"),
            "{\"a\":1}\n{\"b\": oops\n{\"c\":3}\n".to_owned(),
            "{\"x\":[1,{\"Records\":[]}],\"Records\":[{\"k\":\"v\"}]}{\"Records\":[{}]}".to_owned(),
            "\u{feff} {\"eventName\":\"x\"}".to_owned(),
            // Brackets within a string, where a block of sixty-four bytes begins.
            format!("{{\"{}{{\":1}}{pad}", "x".repeat(63)),
            format!("{{\"Records\":[\"{}{{\"]}}{pad}", "x".repeat(63)),
            format!(
                "{{\"a\":1}},\n \u{1e}{{\"b\":2}} {pad} {{\n---\n\0\0{{\"c\":3}}\n[ 7 {{\n\u{feff} [ {{\"d\":4}}]{pad}"
            ),
            format!(
                "2026-03-10T09:00:00.000Z {{\"a\":1}}\n2026-03-10T09:00:01.000Z {{\"b\":{pad}\n2026-03-10T09:00:02.000Z x{pad}"
            ),
            // Members beside the records, before and behind them.
            format!(
                "{{\"x\":{{\"eventName\":1}},\"y\":\"{pad}\",\"\\u0052ecords\":[{{}}],\"z\":[{{\"eventTime\":\"{pad}\"}}],\"w\":[7]}}"
            ),
            // A bracket that ends no scalar, wherever a piece begins.
            "{\"Records\":[1[,2]}".to_owned(),
        ] {
            let whole = split(document.as_bytes(), usize::MAX / 2).unwrap();
            for chunk in 1..90 {
                assert_eq!(split(document.as_bytes(), chunk).unwrap(), whole, "{document} by {chunk}");
            }
        }
    }

    /// A piece of a document, more of which follows: the number of items in it, and behind `^` the bytes that are needed
    /// again.
    #[test]
    fn a_piece_gives_what_is_whole_in_it() {
        let stamp = "2026-03-10T09:00:00.000Z";
        for (text, given) in [
            ("^{", 0),
            ("^{\"a\":1,\"b", 0),
            ("^{\"a\":1", 0),
            ("^{\"a\":[1,", 0),
            ("{\"Records\":[^", 0),
            ("{\"Records\":[{\"a\":1},^{\"b\"", 1),
            ("{\"Records\":[{\"a\":1},{\"b\":2} ^", 2),
            ("{\"Records\":[{\"a\":1}],^\"more", 1),
            ("{\"Records\":[{\"a\":1}],^\"more\":[1,", 1),
            ("{\"Records\":[{\"a\":1}],\"more\":[1]^", 1),
            ("{\"Records\":[{\"a\":1}]}^", 1),
            ("[{\"a\":1},^[5", 1),
            ("{\"a\":1}\n{\"b\":2}\n^{\"c\"", 2),
            ("{\"a\":1}\n\u{feff}{\"b\":2}\n^", 2),
            ("{\"a\":1}\n^text", 1),
            ("{\"a\":1}\n^2026-03-10T09:00:00.000Z", 1),
            ("{\"a\":1}\n[{\"b\":2}]\n^[  ", 2),
            ("^<html>", 0),
            ("^1234567890123456789012345", 0),
            (&format!("{stamp} {{\"a\":1}}\n{stamp} {{\"b\":2}}\n^"), 2),
            (&format!("{stamp} {{\"a\":1}}\n{stamp} ^{{\"b\":"), 1),
        ] {
            let (before, after) = text.split_once('^').unwrap();
            let bytes = [before, after].concat();
            let (mut splitter, mut items) = (Splitter::default(), 0);
            let piece = DocumentPiece::new(bytes.as_bytes(), 0, BytesAhead::More);
            let needed_from = splitter.advance(&piece, &mut |_| items += 1);
            assert_eq!((needed_from, items), (Ok(before.len() as u64), given), "{text}");
        }
    }

    /// No more than the longest record is held of anything that has not ended.
    #[test]
    fn the_bytes_of_a_record_are_held_and_no_more() {
        use SplitState::{AfterItem, AfterMember, Between, InItem, Key, Skip, Start};
        let (document_start, item_start, max) = (1u64 << 40, 2u64 << 40, RECORD_BYTES_MAX as u64);
        for (state, document_known, keep) in [
            (InItem, true, item_start),
            (InItem, false, item_start),
            (Between(StrayText::Plain), false, item_start),
            (Skip, true, item_start),
            (Skip, false, document_start),
            (Key, false, document_start),
            (AfterMember, false, document_start),
        ] {
            for (at, expected) in [(keep + 1, keep), (keep + max, keep), (keep + max + 1, keep + max + 1)] {
                let splitter =
                    Splitter { state, document_known, document_start, item_start, at, ..Splitter::default() };
                assert_eq!(splitter.needed_from(), expected, "{state:?} {document_known}");
            }
        }
        for (state, document_known) in [(Key, true), (AfterMember, true), (Start, false), (AfterItem, true)] {
            let splitter = Splitter { state, document_known, at: item_start, ..Splitter::default() };
            assert_eq!(splitter.needed_from(), item_start, "{state:?} {document_known}");
        }
        let bytes = vec![b' '; RECORD_BYTES_MAX + 1];
        assert!(matches!(Splitter::default().wait(&bytes[1..]), Ok(SplitStep::More)));
        assert_eq!(Splitter::default().wait(&bytes).err(), Some(SYNTAX));
        let piece = DocumentPiece::new(&bytes, item_start, BytesAhead::Nothing);
        for (start, length, held, fault) in [
            (item_start, max, RECORD_BYTES_MAX, None),
            (item_start + 1, max, RECORD_BYTES_MAX, None),
            (item_start, max + 1, 0, Some(ItemFault::TooLarge)),
            (item_start - 1, 5, 0, None),
        ] {
            let item = piece.item(start, length, ItemContainer::Records);
            assert_eq!((item.bytes.len(), item.offset, item.length, item.fault), (held, start, length, fault));
        }
    }

    #[test]
    fn a_screen_judges_the_items_of_records_alone() {
        for (text, screened) in [
            (r#"{"Records":[{"a":1},{"b":2}]}"#, &[true, true][..]),
            (r#"{"Records":[{"a":1},7,[1]]}"#, &[true, false, false]),
            (r#"[{"a":1}]"#, &[false]),
            (r#"{"Events":[{"a":1}]}"#, &[false]),
            (r#"{"logEvents":[{"a":1}]}"#, &[false]),
            (r#"{"a":1}"#, &[false]),
        ] {
            for (screen, is_used) in
                [(Some((|_| true) as RecordScreen), true), (Some((|_| false) as RecordScreen), false), (None, false)]
            {
                let mut found = Vec::new();
                let sink = &mut |item: DocumentItem<'_>| found.push(item.is_screened_out);
                Splitter::new(screen).advance(&DocumentPiece::whole(text.as_bytes()), sink).unwrap();
                let expected: Vec<bool> = screened.iter().map(|is_screened| *is_screened && is_used).collect();
                assert_eq!(found, expected, "{text}");
            }
        }
    }

    #[test]
    fn a_broken_line_is_quarantined_alone() {
        let (items, shape) = split(b"{\"a\":1}\n{\"b\": oops\n{\"c\":3}\n", 1000).unwrap();
        assert_eq!(items.iter().map(|(_, fault)| *fault).collect::<Vec<_>>(), [None, Some(ItemFault::Line), None]);
        assert_eq!(shape.documents, 3);
    }

    /// Text between documents must not hide the documents after it, and must not go unseen if it may be a record.
    #[test]
    fn text_between_documents_ends_with_its_line() {
        const LINE: Option<ItemFault> = Some(ItemFault::Line);
        for (text, faults) in [
            ("{\"a\":1}\nERROR end of stream\n{\"b\":2}\n{\"c\":3}", &[None, None, None][..]),
            ("{\"a\":1},\n{\"b\":2},\n", &[None, None]),
            ("{\"a\":1}\n\u{1e}{\"b\":2}\n\u{1e}{\"c\":3}", &[None, None, None]),
            ("{\"a\":1}\n2026-03-10T09:00:00Z {\"b\":2}\n{\"c\":3}", &[None, LINE, None]),
            ("{\"Records\":[{}]} text {\"Records\":[{}]}", &[None, LINE]),
            ("{\"Records\":[{}]} text\n{\"Records\":[{}]}", &[None, None]),
            ("{\"a\":1}\n[2026-03-10 09:00:00] started\n{\"b\":2}", &[None, None]),
            ("{\"a\":1}\n[INFO] {x}\n{\"b\":2}", &[None, LINE, None]),
            ("{\"a\":1}\n\0\0\n{\"b\":2}", &[None, None]),
            ("{\"a\":1}\nx\u{1f}\u{8b}\n{\"b\":2}", &[None, LINE, None]),
            ("{\"a\":1}garbage", &[None]),
            ("{\"a\":1}\n[", &[None]),
            ("{\"a\":1}\n[ 7", &[None]),
            ("{\"a\":1}\0\0{\"b\":2}", &[None, None]),
            ("{\"a\":1} {} {\"b\":2} x", &[None, None, None]),
            ("{\"a\":1}\0\0\0", &[None]),
        ] {
            let (items, shape) = split(text.as_bytes(), 1000).unwrap();
            assert_eq!(items.iter().map(|(_, fault)| *fault).collect::<Vec<_>>(), faults, "{text}");
            assert_eq!(shape.trailing_data, !text.contains('\u{1e}'), "{text}");
            let is_records = |text: &str| text.contains("Records");
            assert!(shape.documents == faults.len() as u64 || is_records(text) && shape.documents > 1, "{text}");
        }
        for line in ["null", "5", "[1,2]", "\"x\"", " true "] {
            let text = format!("{{\"a\":1}}\n{line}\n{{\"b\":2}}");
            let (items, shape) = split(text.as_bytes(), 1000).unwrap();
            assert_eq!((items.len(), &*items[1].0), (3, line.trim_start()), "{line}");
            assert_eq!((shape.documents, shape.trailing_data), (3, false), "{line}");
        }
        for (text, expected) in [
            ("{}", &["{}"][..]),
            ("[]", &[]),
            ("[5]", &["5"]),
            ("[ 5 , true,\"x\"]", &["5", "true", "\"x\""]),
            ("\"{\\\"a\\\":1}\"", &["\"{\\\"a\\\":1}\""]),
            ("\"[1]\"", &["\"[1]\""]),
            ("{\"Records\" : [{}]}", &["{}"]),
            ("{\"Records\"\n:\t[{}]}", &["{}"]),
            ("{\"a\" \n : 1 , \"b\" :{}}", &["{\"a\" \n : 1 , \"b\" :{}}"]),
            // Nothing but its names and brackets is looked at of a document around records.
            ("{\"a\tb\":-,\"Records\":[{}]}", &["{}"]),
        ] {
            let (items, shape) = split(text.as_bytes(), 1000).unwrap();
            assert_eq!(items.iter().map(|(item, _)| &**item).collect::<Vec<_>>(), expected, "{text}");
            assert_eq!((shape.documents, shape.trailing_data, shape.bom), (1, false, false), "{text}");
        }
        for end in ["\u{feff}".as_bytes(), b"\xef\xbb", b"\xef"] {
            let (items, shape) = split(&[b"{\"a\":1}", end].concat(), 1000).unwrap();
            assert_eq!((items.len(), shape.bom, shape.trailing_data), (1, true, false));
        }
        let (items, shape) = split("{\"a\":1}\u{feff}{\"b\":2}\n\u{feff}[{\"c\":3}]".as_bytes(), 1000).unwrap();
        assert_eq!((items.len(), shape.bom, shape.trailing_data), (3, true, false));
    }

    #[test]
    fn lines_of_an_export_task_begin_with_a_time() {
        let stamp = "2026-03-10T09:00:00.000Z";
        let lines = format!("{stamp} {{\"a\":1}}\n{stamp} {{\"b\":\n{stamp} {{\"c\":3}}\n");
        let (items, shape) = split(lines.as_bytes(), 1000).unwrap();
        let expected = [("{\"a\":1}", None), ("{\"b\":", Some(ItemFault::Line)), ("{\"c\":3}", None)];
        assert_eq!(items, expected.map(|(text, fault)| (text.to_owned(), fault)));
        assert_eq!((shape.documents, shape.trailing_data), (3, false));
        for other in ["2026-03-10T09:00:00Z {}", "2026-03-10T09:00:00.000Z x", "2026-03-10T09:00:00.000Z{}"] {
            assert_eq!(split(other.as_bytes(), 1000).err(), Some(SplitFault::NotJson), "{other}");
        }
    }

    #[test]
    fn members_beside_records_are_given_if_they_may_hold_one() {
        for (text, beside, unknown_member) in [
            (r#"{"Records":[{}],"More":[{"eventName":"b"}]}"#, &[r#""More":[{"eventName":"b"}]"#][..], true),
            (r#"{"More":[{"eventName":"b"}],"Records":[{}]}"#, &[r#""More":[{"eventName":"b"}],"#], true),
            (r#"{"Records":[{}],"More":"{\"eventName\":5}"}"#, &[r#""More":"{\"eventName\":5}""#], false),
            (r#"{"Records":[{}],"More":[7],"n":5}"#, &[], true),
            (
                r#"{"messageType":"eventName","logEvents":[{}],"owner":"eventName"}"#,
                &[r#""messageType":"eventName","#, r#""owner":"eventName""#],
                false,
            ),
            (
                r#"{"Events":[{}],"NextToken":"eventName","ResponseMetadata":{"eventName":1}}"#,
                &[r#""NextToken":"eventName""#, r#""ResponseMetadata":{"eventName":1}"#],
                false,
            ),
            (r#"{"Events":[{}],"NextToken":"x","ResponseMetadata":{"x":1},"subscriptionFilters":["x"]}"#, &[], false),
            (r#"{"Events":[{}],"NextToken":["x"]}"#, &[], true),
            (r#"{"Events":[{}],"ResponseMetadata":[1]}"#, &[], true),
            (r#"{"Events":[{}],"subscriptionFilters":{"x":1}}"#, &[], true),
            (r#"{"eventName":"b","More":[{"eventName":"b"}]}"#, &[], false),
        ] {
            let (items, shape) = split(text.as_bytes(), 1000).unwrap();
            let given: Vec<&str> = items.iter().map(|(item, _)| &**item).filter(|item| item.starts_with('"')).collect();
            assert_eq!((&given[..], shape.unknown_member), (beside, unknown_member), "{text}");
        }
    }

    #[test]
    fn documents_that_are_none_are_named() {
        for (bytes, fault) in [
            (&b"  "[..], SplitFault::EmptyDocument),
            (b"{\"Records\":{}}", SplitFault::RecordsType),
            (b"{\"Records\":[],\"Records\":[]}", SplitFault::Json(json::JsonFault::DuplicateKey)),
            (br#"{"Records":[],"\u0052ecords":[]}"#, SplitFault::Json(json::JsonFault::DuplicateKey)),
            (br#"{"Events":[],"Events":[]}"#, SplitFault::Json(json::JsonFault::DuplicateKey)),
            (br#"{"logEvents":5,"logEvent\u0073":[]}"#, SplitFault::Json(json::JsonFault::DuplicateKey)),
            (br#"{"\u0052ecords":{}}"#, SplitFault::RecordsType),
            (b"{\"Records\":[{}", TRUNCATED),
            (b"{\"Records\":[{},]}", SYNTAX),
            (b"{\"Records\":[{}}},{}]}", SYNTAX),
            (b"{'Records':[]}", SYNTAX),
            (b"7", SplitFault::EnvelopeUnknown),
            (b"\"x\"", SplitFault::EnvelopeUnknown),
            (&[b'7'; 511], SplitFault::EnvelopeUnknown),
            (&[b'7'; 512], SplitFault::NotJson),
            (b"}", SYNTAX),
            (b"// {}", SYNTAX),
            (b"{\"a\":1,}", SYNTAX),
            (b"{\"a\":1,\0}", SYNTAX),
            (b"{\"a\"}", SYNTAX),
            (b"{\"a\"", TRUNCATED),
            (b"{\0\"\0", SplitFault::Encoding),
            (b"\0{\0\"", SplitFault::Encoding),
            (b"\0\0\0{", SplitFault::Encoding),
            (b"\xfe\xff\0{", SplitFault::Encoding),
            (b"\0\0 {", SplitFault::NotJson),
            (b"\x1e{}", SplitFault::NotJson),
            ("\u{feff}\u{feff}{}".as_bytes(), SplitFault::NotJson),
            (&[&b"{\"Records\":["[..], &[b'['; json::DEPTH_MAX]].concat(), TRUNCATED),
            (
                &[&b"{\"Records\":["[..], &[b'['; json::DEPTH_MAX + 1]].concat(),
                SplitFault::Json(json::JsonFault::Depth),
            ),
            (&[&b"{\"a\":"[..], &[b'['; json::DEPTH_MAX]].concat(), TRUNCATED),
            (&[&b"{\"a\":"[..], &[b'['; json::DEPTH_MAX + 1]].concat(), SplitFault::Json(json::JsonFault::Depth)),
            (b"a,b\n1,2\n", SplitFault::NotJson),
            (b"<html>", SplitFault::Html),
            (b"<?xml?><Error><Code>", SplitFault::S3Error),
            (b"\xff\xfe{\0", SplitFault::Encoding),
        ] {
            for chunk in (1..90).chain([1000]) {
                assert_eq!(split(bytes, chunk).err(), Some(fault), "{} by {chunk}", String::from_utf8_lossy(bytes));
            }
        }
    }
}
