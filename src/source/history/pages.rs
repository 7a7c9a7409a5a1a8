//! Writes the events of a lookup as files that the decoder reads like any other log.
//! In: events, page by page. Out: numbered files of some hundred pages, and their sizes.
//! Never changes an event: its text is stored as the service gave it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const PAGES_MAX: u32 = 200;

pub(super) struct PageWriter {
    folder: PathBuf,
    file: BufWriter<File>,
    /// The size of the file that is being written.
    bytes: u64,
    pages: u32,
    done: Vec<u64>,
}

pub(super) fn file_name(number: usize) -> String {
    format!("{:05}", number + 1)
}

const HEAD: &[u8] = b"{\"Events\":[";
const TAIL: &[u8] = b"\n]}\n";

impl PageWriter {
    /// Begins the first file even if no event comes: a quiet Region is an answer too.
    pub(super) fn new(folder: &Path) -> io::Result<PageWriter> {
        fs::create_dir_all(folder)?;
        let file = begin(folder, 0)?;
        Ok(PageWriter { folder: folder.to_owned(), file, bytes: HEAD.len() as u64, pages: 0, done: Vec::new() })
    }

    pub(super) fn add(&mut self, event: &str) -> io::Result<()> {
        let comma = if self.bytes > HEAD.len() as u64 { "," } else { "" };
        let line = format!("{comma}\n{{\"CloudTrailEvent\":{}}}", serde_json::Value::from(event));
        self.bytes += line.len() as u64;
        self.file.write_all(line.as_bytes())
    }

    pub(super) fn end_page(&mut self) -> io::Result<()> {
        self.pages += 1;
        if self.pages < PAGES_MAX {
            return Ok(());
        }
        self.end_file()?;
        self.file = begin(&self.folder, self.done.len())?;
        (self.bytes, self.pages) = (HEAD.len() as u64, 0);
        Ok(())
    }

    fn end_file(&mut self) -> io::Result<()> {
        self.file.write_all(TAIL)?;
        self.file.flush()?;
        self.done.push(self.bytes + TAIL.len() as u64);
        Ok(())
    }

    /// The sizes of all files, in the order of their numbers.
    pub(super) fn finish(mut self) -> io::Result<Vec<u64>> {
        self.end_file()?;
        Ok(self.done)
    }
}

fn begin(folder: &Path, number: usize) -> io::Result<BufWriter<File>> {
    let mut file = BufWriter::new(File::create_new(folder.join(file_name(number)))?);
    file.write_all(HEAD)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_whole_documents() {
        let folder = tempfile::tempdir().unwrap();
        let mut pages = PageWriter::new(folder.path()).unwrap();
        for _ in 0..PAGES_MAX + 1 {
            pages.add("{\"a\":\"\\u00e9\n\"}").unwrap();
            pages.add("").unwrap();
            pages.end_page().unwrap();
        }
        let sizes = pages.finish().unwrap();
        assert_eq!(sizes.len(), 2);
        for (number, (bytes, events)) in sizes.iter().zip([400, 2]).enumerate() {
            let text = fs::read_to_string(folder.path().join(file_name(number))).unwrap();
            let document: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((text.len() as u64, document["Events"].as_array().unwrap().len()), (*bytes, events));
            assert_eq!(document["Events"][0]["CloudTrailEvent"], "{\"a\":\"\\u00e9\n\"}");
        }
    }
}
