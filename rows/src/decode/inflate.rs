//! Inflates one object: gzip with all its members, gzip in gzip, or plain bytes.
//! In: compressed bytes. Out: inflated bytes, [`InflateFlags`] for oddities, or the [`InflateFault`] that damaged them.
//! Two paths agree: one shot for the usual object, and a stream for everything large or odd. They differ only on a
//! block that declares more codes than DEFLATE has: one shot reads it, the stream calls it corrupt, and no encoder
//! writes it.
//! Never trusts a declared size, never writes a file name from a header anywhere.

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};

use crate::objects::FaultReason;

/// Largest gzip inside a gzip, in inflated bytes.
pub const NESTED_BYTES_MAX: u64 = 64 << 20;
/// Largest object, in inflated bytes.
pub const OBJECT_BYTES_MAX: u64 = 4 << 30;
const CHUNK_BYTES: usize = 256 << 10;

/// The reason that an object gives nothing, as `objects.error` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InflateFault {
    EmptyObject,
    NotGzip,
    Header,
    Truncated,
    Corrupt,
    Crc,
    Isize,
    Nested,
    TooLarge,
    Unreadable,
}

impl InflateFault {
    pub fn reason(self) -> FaultReason {
        match self {
            InflateFault::EmptyObject => FaultReason::EmptyObject,
            InflateFault::NotGzip => FaultReason::NotGzip,
            InflateFault::Header => FaultReason::GzipHeader,
            InflateFault::Truncated => FaultReason::GzipTruncated,
            InflateFault::Corrupt => FaultReason::GzipCorrupt,
            InflateFault::Crc => FaultReason::GzipCrc,
            InflateFault::Isize => FaultReason::GzipIsize,
            InflateFault::Nested => FaultReason::GzipNested,
            InflateFault::TooLarge => FaultReason::ObjectTooLarge,
            InflateFault::Unreadable => FaultReason::Unreadable,
        }
    }
}

/// Oddities of an object that was read whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InflateFlags {
    pub multi_member: bool,
    pub trailing_data: bool,
    pub double_gzip: bool,
    pub not_compressed: bool,
    pub extension_mismatch: bool,
}

/// The format that an object's name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedEncoding {
    Gzip,
    Plain,
    Unnamed,
}

impl NamedEncoding {
    pub fn from_path(path: &str) -> NamedEncoding {
        let lower = path.to_ascii_lowercase();
        match lower.rsplit('.').next() {
            Some("gz") => NamedEncoding::Gzip,
            Some("json" | "jsonl" | "ndjson") => NamedEncoding::Plain,
            _ => NamedEncoding::Unnamed,
        }
    }
}

/// Inflates a plain single-member gzip in one go, if that is provably the whole of `bytes`. Returns `None` if the
/// object is larger, odd or damaged; [`InflateStream`] tells these apart.
pub fn one_shot<'b>(bytes: &[u8], inflated_max: usize, out: &'b mut Vec<u8>) -> Option<&'b [u8]> {
    const FIXED_HEADER: [u8; 4] = [0x1f, 0x8b, 8, 0];
    if bytes.len() < 18 || bytes[..4] != FIXED_HEADER {
        return None;
    }
    let trailer = &bytes[bytes.len() - 4..];
    let size = little_endian(trailer) as usize;
    // Deflate cannot expand beyond about 1032 to 1: a larger claim is a lie, and no reason to reserve memory.
    if size > inflated_max || size / 1032 > bytes.len() {
        return None;
    }
    if out.len() < size {
        out.resize(size, 0);
    }
    let length = libdeflater::Decompressor::new().gzip_decompress(bytes, &mut out[..size]).ok()?;
    // The decompressor stops at the end of the first member and does not say at which byte. It has proved that the
    // member's last four bytes are this size; if they occur only at the end of the file, the member is the whole file.
    let whole = length == size && memchr::memmem::find(&bytes[..bytes.len() - 1], trailer).is_none();
    (whole && !out[..size].starts_with(&[0x1f, 0x8b])).then(|| &out[..size])
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
}

/// Inflates as a stream, in memory that does not depend on the object's size.
pub struct InflateStream<R> {
    input: InputBuffer<R>,
    named: NamedEncoding,
    state: InflateState,
    decompress: Decompress,
    crc: libdeflater::Crc,
    member_bytes: u64,
    members: u64,
    total: u64,
    total_max: u64,
    nested_max: u64,
    pub flags: InflateFlags,
}

enum InflateState {
    Start,
    Member,
    Plain,
    /// The inner stream of a gzip in a gzip, its compressed bytes held whole.
    Inner(Box<InflateStream<std::io::Cursor<Vec<u8>>>>),
    Done,
}

impl<R: Read> InflateStream<R> {
    pub fn new(reader: R, named: NamedEncoding) -> InflateStream<R> {
        InflateStream {
            input: InputBuffer { reader, buffer: vec![0; CHUNK_BYTES], start: 0, end: 0 },
            named,
            state: InflateState::Start,
            decompress: Decompress::new(false),
            crc: libdeflater::Crc::new(),
            member_bytes: 0,
            members: 0,
            total: 0,
            total_max: OBJECT_BYTES_MAX,
            nested_max: NESTED_BYTES_MAX,
            flags: InflateFlags::default(),
        }
    }

    /// Appends the next inflated bytes to `out`; `false` at the end of a whole object.
    pub fn read_chunk(&mut self, out: &mut Vec<u8>) -> Result<bool, InflateFault> {
        let before = out.len();
        let mut more = self.step(out);
        // Two bytes tell a gzip in a gzip, however few come at once.
        while self.total == 0 && out.len() - before == 1 && more == Ok(true) {
            more = self.step(out);
        }
        if let InflateState::Inner(_) = self.state {
            return more;
        }
        self.total += (out.len() - before) as u64;
        if self.total > self.total_max {
            return Err(InflateFault::TooLarge);
        }
        if before == 0 && self.total == out.len() as u64 && out.starts_with(&[0x1f, 0x8b]) {
            if more.is_ok() {
                return self.enter_nested(out);
            }
            // A part of an inner gzip is of no use.
            out.clear();
        }
        more
    }

    fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, InflateFault> {
        match &mut self.state {
            InflateState::Start => self.start(),
            InflateState::Member => self.member(out),
            InflateState::Plain => self.plain(out),
            InflateState::Inner(inner) => {
                let more = inner.read_chunk(out)?;
                if inner.flags.double_gzip {
                    return Err(InflateFault::Nested);
                }
                Ok(more)
            }
            InflateState::Done => Ok(false),
        }
    }

    fn start(&mut self) -> Result<bool, InflateFault> {
        let head = self.input.peek(4)?;
        if head.is_empty() {
            return Err(InflateFault::EmptyObject);
        }
        if head.starts_with(&[0x1f, 0x8b]) {
            self.flags.extension_mismatch = self.named == NamedEncoding::Plain;
            self.header()?;
            return Ok(true);
        }
        let looks_like_text =
            matches!(head[0], b'{' | b'[' | b'<' | b' ' | b'\n' | b'\r' | b'\t' | 0xef) || head == b"PAR1";
        if self.named == NamedEncoding::Gzip && !looks_like_text {
            return Err(InflateFault::NotGzip);
        }
        self.flags.not_compressed = self.named == NamedEncoding::Gzip;
        self.state = InflateState::Plain;
        Ok(true)
    }

    fn plain(&mut self, out: &mut Vec<u8>) -> Result<bool, InflateFault> {
        let bytes = self.input.fill()?;
        let count = bytes.len();
        out.extend_from_slice(bytes);
        self.input.start += count;
        Ok(count > 0)
    }

    /// Reads a member's header (RFC 1952) and gets ready for its body.
    fn header(&mut self) -> Result<(), InflateFault> {
        let mut crc = libdeflater::Crc::new();
        let mut fixed = [0; 10];
        for byte in &mut fixed {
            *byte = self.input.byte()?;
        }
        if fixed[2] != 8 || fixed[3] & 0xe0 != 0 {
            return Err(InflateFault::Header);
        }
        crc.update(&fixed);
        let flags = fixed[3];
        if flags & 4 != 0 {
            let length = [self.input.byte()?, self.input.byte()?];
            crc.update(&length);
            for _ in 0..u16::from_le_bytes(length) {
                crc.update(&[self.input.byte()?]);
            }
        }
        for _ in 0..(flags >> 3 & 1) + (flags >> 4 & 1) {
            loop {
                let byte = self.input.byte()?;
                crc.update(&[byte]);
                if byte == 0 {
                    break;
                }
            }
        }
        if flags & 2 != 0 && u16::from_le_bytes([self.input.byte()?, self.input.byte()?]) != crc.sum() as u16 {
            return Err(InflateFault::Header);
        }
        self.members += 1;
        self.flags.multi_member = self.members > 1;
        self.decompress.reset(false);
        self.crc = libdeflater::Crc::new();
        self.member_bytes = 0;
        self.state = InflateState::Member;
        Ok(())
    }

    fn member(&mut self, out: &mut Vec<u8>) -> Result<bool, InflateFault> {
        let before = out.len();
        out.reserve(CHUNK_BYTES);
        let (consumed_before, input) = (self.decompress.total_in(), self.input.fill()?);
        let at_end = input.is_empty();
        let status =
            self.decompress.decompress_vec(input, out, FlushDecompress::None).map_err(|_| InflateFault::Corrupt)?;
        let consumed = (self.decompress.total_in() - consumed_before) as usize;
        self.input.start += consumed;
        self.crc.update(&out[before..]);
        self.member_bytes += (out.len() - before) as u64;
        match status {
            Status::StreamEnd => self.trailer().map(|()| true),
            _ if at_end && out.len() == before => Err(InflateFault::Truncated),
            _ => Ok(true),
        }
    }

    fn trailer(&mut self) -> Result<(), InflateFault> {
        let mut trailer = [0; 8];
        for byte in &mut trailer {
            *byte = self.input.byte()?;
        }
        if little_endian(&trailer[..4]) != self.crc.sum() {
            return Err(InflateFault::Crc);
        }
        if little_endian(&trailer[4..]) != self.member_bytes as u32 {
            return Err(InflateFault::Isize);
        }
        let mut is_padded = false;
        while let Some(0 | b' ' | b'\n' | b'\r' | b'\t') = self.input.peek(1)?.first() {
            self.input.start += 1;
            is_padded = true;
        }
        let rest = self.input.peek(2)?;
        let (is_member, is_empty) = (rest.starts_with(&[0x1f, 0x8b]), rest.is_empty());
        self.flags.trailing_data |= is_padded || !(is_empty || is_member);
        if is_member {
            return self.header();
        }
        // Text appended without compression is read as well, since it may hold records.
        self.state = if is_empty { InflateState::Done } else { InflateState::Plain };
        Ok(())
    }

    /// The inflated bytes are gzip again: takes them whole, within bounds, and goes on with their content.
    fn enter_nested(&mut self, out: &mut Vec<u8>) -> Result<bool, InflateFault> {
        let mut inner = std::mem::take(out);
        while self.step(&mut inner)? {
            if inner.len() as u64 > self.nested_max {
                return Err(InflateFault::TooLarge);
            }
        }
        self.flags.double_gzip = true;
        let mut inner = InflateStream::new(std::io::Cursor::new(inner), NamedEncoding::Unnamed);
        inner.total_max = self.nested_max;
        self.state = InflateState::Inner(Box::new(inner));
        Ok(true)
    }
}

struct InputBuffer<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<R: Read> InputBuffer<R> {
    /// The unread bytes, at least one unless the input has ended.
    fn fill(&mut self) -> Result<&[u8], InflateFault> {
        self.peek(1)?;
        Ok(&self.buffer[self.start..self.end])
    }

    /// Up to `count` unread bytes, fewer only at the end of the input.
    fn peek(&mut self, count: usize) -> Result<&[u8], InflateFault> {
        while self.end - self.start < count {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return Err(InflateFault::Unreadable),
            }
        }
        let end = self.end.min(self.start + count);
        Ok(&self.buffer[self.start..end])
    }

    fn byte(&mut self) -> Result<u8, InflateFault> {
        let byte = *self.peek(1)?.first().ok_or(InflateFault::Truncated)?;
        self.start += 1;
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A connection as slow as can be.
    struct OneByOne<'a>(&'a [u8]);

    impl Read for OneByOne<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    fn stream(bytes: &[u8]) -> Result<(Vec<u8>, InflateFlags), InflateFault> {
        let at_once = read(bytes);
        assert_eq!(read(OneByOne(bytes)), at_once);
        at_once
    }

    fn read(reader: impl Read) -> Result<(Vec<u8>, InflateFlags), InflateFault> {
        let mut inflate = InflateStream::new(reader, NamedEncoding::Gzip);
        let mut all = Vec::new();
        let mut chunk = Vec::new();
        while inflate.read_chunk(&mut chunk)? {
            all.append(&mut chunk);
        }
        all.append(&mut chunk);
        Ok((all, inflate.flags))
    }

    #[test]
    fn both_paths_agree_and_the_one_shot_path_declines_what_is_odd() {
        let one = gzip(b"{\"Records\":[]}");
        let two = [one.clone(), one.clone()].concat();
        let tail = [one.clone(), b"x".to_vec()].concat();
        let repeated_trailer = [one.clone(), one[one.len() - 8..].to_vec()].concat();
        let mut out = Vec::new();
        assert_eq!(one_shot(&one, 1 << 20, &mut out), Some(stream(&one).unwrap().0.as_slice()));
        for odd in [&two, &tail, &repeated_trailer, &gzip(&one), &one[..one.len() - 1].to_vec()] {
            assert_eq!(one_shot(odd, 1 << 20, &mut out), None);
        }
        assert!(stream(&two).unwrap().1.multi_member);
        assert!(stream(&tail).unwrap().1.trailing_data);
        assert!(stream(&repeated_trailer).unwrap().1.trailing_data);
        for between in [&[0; 512][..], b"\n", b"\0 \r\n"] {
            for (more, text) in [(&one[..], &b"{\"Records\":[]}"[..]), (b"[5]", b"[5]"), (b"", b""), (b"x{", b"x{")] {
                let (all, flags) = stream(&[&one, between, more].concat()).unwrap();
                assert_eq!(all, [&b"{\"Records\":[]}"[..], text].concat());
                assert_eq!((flags.trailing_data, flags.multi_member), (true, more == one));
            }
        }
        assert!(stream(&gzip(&one)).unwrap().1.double_gzip);
        assert_eq!(stream(&gzip(&gzip(&one))), Err(InflateFault::Nested));
        for cut in [1, 2, 12] {
            let halves = [gzip(&one[..cut]), gzip(&one[cut..])].concat();
            assert!(stream(&halves).unwrap().1.double_gzip, "cut at {cut}");
        }
        let mut torn = gzip(&one);
        let crc = torn.len() - 8;
        torn[crc] ^= 1;
        assert_eq!(stream(&torn), Err(InflateFault::Crc));
        assert_eq!(stream(&one[..one.len() - 1]), Err(InflateFault::Truncated));
        for length in 0..one.len() {
            assert_eq!(one_shot(&one[..length], 1 << 20, &mut out), None, "{length} bytes");
        }
    }

    /// Bytes that no encoder makes smaller, the same in every run.
    fn noise(length: usize) -> Vec<u8> {
        let next = |state: &u64| Some(state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1));
        std::iter::successors(Some(7), next).map(|state| (state >> 56) as u8).take(length).collect()
    }

    #[test]
    fn a_large_object_comes_in_bounded_pieces() {
        let pairs = |before: &[u8]| [before, &[0x1f, 0x8b].repeat(CHUNK_BYTES * 2)].concat();
        // A piece that begins as a gzip does is none, if it is not the first.
        for content in [noise(CHUNK_BYTES + 50_000), vec![b' '; 16 * CHUNK_BYTES], pairs(b"x"), pairs(b"xx")] {
            let content = [&b"["[..], &content].concat();
            for stored in [gzip(&content), content.clone()] {
                let mut inflate = InflateStream::new(&stored[..], NamedEncoding::Unnamed);
                let (mut all, mut chunk) = (Vec::new(), Vec::new());
                while inflate.read_chunk(&mut chunk).unwrap() {
                    assert!(chunk.len() <= 4 * CHUNK_BYTES, "{} bytes at once", chunk.len());
                    all.append(&mut chunk);
                }
                assert!(all == content && !inflate.flags.double_gzip);
            }
        }
        let large = noise(CHUNK_BYTES + 50_000);
        assert!(stream(&gzip(&large)).unwrap().0 == large);
    }

    /// Fails once, and has ended after that.
    struct FailsOnce(Option<std::io::ErrorKind>);

    impl Read for FailsOnce {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            self.0.take().map_or(Ok(0), |kind| Err(kind.into()))
        }
    }

    #[test]
    fn what_comes_before_a_fault_of_the_reader_is_given() {
        use std::io::ErrorKind::{BrokenPipe, Interrupted};
        for (kind, end) in [(BrokenPipe, Err(InflateFault::Unreadable)), (Interrupted, Ok(false))] {
            for text in [&b"[12]"[..], b"[123]"] {
                let mut inflate = InflateStream::new(text.chain(FailsOnce(Some(kind))), NamedEncoding::Plain);
                let mut all = Vec::new();
                assert_eq!(inflate.read_chunk(&mut all), Ok(true));
                assert_eq!((inflate.read_chunk(&mut all), &all[..]), (Ok(true), text));
                assert_eq!((inflate.read_chunk(&mut all), &all[..]), (end, text));
            }
        }
    }

    #[test]
    fn a_header_may_have_all_its_fields_and_no_others() {
        let text = b"{\"Records\":[]}";
        let plain = gzip(text);
        let (extra, name, comment, hash) = (4, 8, 16, 2);
        for wanted in 0..32u8 {
            let mut header = plain[..10].to_vec();
            header[3] = wanted;
            for (field, bytes) in [(extra, &b"\x03\0a\0b"[..]), (name, b"events.json\0"), (comment, b"none\0")] {
                header.extend(bytes.iter().filter(|_| wanted & field != 0));
            }
            let mut crc = libdeflater::Crc::new();
            crc.update(&header);
            let crc = (wanted & hash != 0).then(|| (crc.sum() as u16).to_le_bytes());
            let whole = [&header[..], crc.as_ref().map_or(&[][..], |crc| &crc[..]), &plain[10..]].concat();
            assert_eq!(stream(&whole).unwrap(), (text.to_vec(), InflateFlags::default()), "{wanted:05b}");
            if crc.is_some() {
                let mut other = whole.clone();
                other[header.len()] ^= 1;
                assert_eq!(stream(&other), Err(InflateFault::Header), "{wanted:05b}");
            }
            assert_eq!(one_shot(&whole, 1 << 20, &mut Vec::new()).is_some(), wanted == 0, "{wanted:05b}");
        }
        for (at, byte) in [(2, 7), (3, 0x20), (3, 0x40), (3, 0x80)] {
            let mut odd = plain.clone();
            odd[at] = byte;
            assert_eq!(stream(&odd), Err(InflateFault::Header), "{byte} at {at}");
        }
    }

    #[test]
    fn a_size_is_proved_and_never_believed() {
        let plain = gzip(b"{\"Records\":[]}");
        let size = plain.len() - 4;
        for claim in [0, 13, 15, 1 << 20, 1032 * 1000, u32::MAX] {
            let whole = [&plain[..size], &claim.to_le_bytes()].concat();
            assert_eq!(stream(&whole), Err(InflateFault::Isize), "{claim}");
            let mut out = Vec::new();
            assert_eq!(one_shot(&whole, usize::MAX, &mut out), None, "{claim}");
            assert!(out.len() <= 1032 * whole.len() + 1031, "{} bytes are made room for", out.len());
        }
        let mut out = vec![0xff; 20];
        assert_eq!(one_shot(&plain, 14, &mut out), Some(&b"{\"Records\":[]}"[..]));
        assert_eq!(one_shot(&plain, 13, &mut out), None);
        for (bytes_max, fault) in [(14, None), (13, Some(InflateFault::TooLarge))] {
            let mut inflate = InflateStream::new(&plain[..], NamedEncoding::Gzip);
            inflate.total_max = bytes_max;
            let mut all = Vec::new();
            let end = loop {
                match inflate.read_chunk(&mut all) {
                    Ok(true) => {}
                    end => break end.err(),
                }
            };
            assert_eq!(end, fault, "{bytes_max}");
        }
        // The bound of a gzip in a gzip holds from its second piece on.
        let halves = [gzip(&plain[..5]), gzip(&plain[5..])].concat();
        for (bytes_max, end) in
            [(plain.len(), Ok(true)), (plain.len() - 1, Err(InflateFault::TooLarge)), (6, Err(InflateFault::TooLarge))]
        {
            let mut inflate = InflateStream::new(&halves[..], NamedEncoding::Gzip);
            inflate.nested_max = bytes_max as u64;
            assert_eq!(inflate.read_chunk(&mut Vec::new()), Ok(true));
            assert_eq!(inflate.read_chunk(&mut Vec::new()), end, "{bytes_max}");
        }
    }

    #[test]
    fn a_name_promises_a_format_and_content_decides() {
        let (plain, text) = (gzip(b"[]"), &b"[]"[..]);
        for (name, encoding) in [
            ("x.json.gz", NamedEncoding::Gzip),
            ("X.GZ", NamedEncoding::Gzip),
            ("x.json", NamedEncoding::Plain),
            ("x.ndjson", NamedEncoding::Plain),
            ("x.jsonl", NamedEncoding::Plain),
            ("x.gz.txt", NamedEncoding::Unnamed),
        ] {
            assert_eq!(NamedEncoding::from_path(name), encoding, "{name}");
            for (bytes, is_gzip) in [(&plain[..], true), (text, false)] {
                let mut inflate = InflateStream::new(bytes, encoding);
                let mut all = Vec::new();
                while inflate.read_chunk(&mut all).unwrap() {}
                assert_eq!(all, text);
                let (not_compressed, mismatch) = (inflate.flags.not_compressed, inflate.flags.extension_mismatch);
                assert_eq!(not_compressed, encoding == NamedEncoding::Gzip && !is_gzip, "{name} {is_gzip}");
                assert_eq!(mismatch, encoding == NamedEncoding::Plain && is_gzip, "{name} {is_gzip}");
            }
        }
        for start in [b"{", b"[", b"<", b" ", b"\n", b"\r", b"\t", b"\xef"] {
            let text = [&start[..], b"1234"].concat();
            assert_eq!(stream(&text).unwrap().0, text);
        }
        assert_eq!(stream(b"PAR1").unwrap().0, b"PAR1");
        for other in [&b"PAR2"[..], b"x", b"\x1f\x8c"] {
            assert_eq!(stream(other), Err(InflateFault::NotGzip), "{other:?}");
        }
        assert_eq!(stream(b""), Err(InflateFault::EmptyObject));
    }
}
