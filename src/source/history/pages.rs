//! Writes the events of a lookup as documents that the decoder reads like any other log.
//! In: events, page by page. Out: documents of some hundred pages, one after the other in a file, and their places.
//! Never changes an event: its text is stored as the service gave it.

use std::io::{self, BufWriter, Write};
use std::ops::Range;

use super::super::spool_file::SpoolFile;

const PAGES_MAX: u32 = 200;

pub(super) struct PageWriter {
    file: BufWriter<SpoolFile>,
    /// The place of the document that is being written, as far as it is.
    document: Range<u64>,
    pages: u32,
    done: Vec<Range<u64>>,
}

pub(super) fn name_of(number: usize) -> String {
    format!("{:05}", number + 1)
}

const HEAD: &[u8] = b"{\"Events\":[";
const TAIL: &[u8] = b"\n]}\n";

impl PageWriter {
    /// Begins the first document even if no event comes: a quiet Region is an answer too.
    pub(super) fn new(file: &SpoolFile) -> io::Result<PageWriter> {
        let at = file.bytes()?;
        let file = BufWriter::new(file.clone());
        let mut writer = PageWriter { file, document: at..at, pages: 0, done: Vec::new() };
        writer.write(HEAD)?;
        Ok(writer)
    }

    pub(super) fn add(&mut self, event: &str) -> io::Result<()> {
        let is_first = self.document.end - self.document.start == HEAD.len() as u64;
        let comma = if is_first { "" } else { "," };
        let line = format!("{comma}\n{{\"CloudTrailEvent\":{}}}", serde_json::Value::from(event));
        self.write(line.as_bytes())
    }

    pub(super) fn end_page(&mut self) -> io::Result<()> {
        self.pages += 1;
        if self.pages < PAGES_MAX {
            return Ok(());
        }
        self.end_document()?;
        self.pages = 0;
        self.write(HEAD)
    }

    fn end_document(&mut self) -> io::Result<()> {
        self.write(TAIL)?;
        let end = self.document.end;
        self.done.push(std::mem::replace(&mut self.document, end..end));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.document.end += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// The places of all documents, in the order of their numbers.
    pub(super) fn finish(mut self) -> io::Result<Vec<Range<u64>>> {
        self.end_document()?;
        self.file.flush()?;
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn documents_of_several_lookups_are_whole() {
        let file = SpoolFile::new().unwrap();
        for at in [0, 1] {
            let mut pages = PageWriter::new(&file).unwrap();
            for _ in 0..PAGES_MAX + 1 {
                pages.add("{\"a\":\"\\u00e9\n\"}").unwrap();
                pages.add("").unwrap();
                pages.end_page().unwrap();
            }
            let places = pages.finish().unwrap();
            assert_eq!((places.len(), places[0].start > 0), (2, at == 1));
            for (place, events) in places.into_iter().zip([400, 2]) {
                let mut text = String::new();
                file.reader_from(place.start).take(place.end - place.start).read_to_string(&mut text).unwrap();
                let document: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(document["Events"].as_array().unwrap().len(), events);
                assert_eq!(document["Events"][0]["CloudTrailEvent"], "{\"a\":\"\\u00e9\n\"}");
            }
        }
    }
}
