//! The origins of a listing's objects: words that `listing` keeps and `object` acts on.
//! In: a bucket that is connected, the pages that lookups saved. Out: the same, told apart.
//! Never opens an object of a bucket or of a folder.

use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use super::s3::Bucket;
use super::spool_file::SpoolFile;

/// Begins the path of every object of an event history.
pub(super) const HISTORY_SCHEME: &str = "cloudtrail://";

/// The place from which the objects of a folder are opened.
#[derive(Clone, Debug)]
pub(super) enum ObjectOrigin {
    Disk,
    Bucket(Arc<Bucket>),
    /// The event history, which goes with the last listing that names it.
    History(Arc<SavedHistory>),
}

/// The objects of the event history by their paths.
#[derive(Debug, Default)]
pub(super) struct SavedHistory(HashMap<Vec<u8>, SavedObject>);

#[derive(Debug)]
pub(super) enum SavedObject {
    /// A part of a file, in which the objects of a Region lie one after the other.
    Pages(SpoolFile, Range<u64>),
    /// The spans that a store has once it holds the events of a lookup.
    End(String),
}

impl SavedHistory {
    pub(super) fn add(&mut self, path: String, object: SavedObject) {
        self.0.insert(path.into_bytes(), object);
    }

    /// Opens an object. Fails with `NotFound` if nothing was saved for it.
    pub(super) fn open(&self, path: &[u8]) -> io::Result<Box<dyn Read>> {
        match self.0.get(path) {
            Some(SavedObject::Pages(file, part)) => {
                Ok(Box::new(file.reader_from(part.start).take(part.end - part.start)))
            }
            Some(SavedObject::End(covered)) => Ok(Box::new(io::Cursor::new(covered.clone()))),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}
