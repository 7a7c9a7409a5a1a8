//! Fetches objects ahead of the threads that decode them, in order and within bounds of memory and requests.
//! In: a listing and the objects wanted of it. Out: readers, one object at a time, as often as needed. Of a large object
//! whose name does not say if it is a log, the first bytes alone come at first, and the rest only if they may begin one.
//! Decoding threads wait here only where the network is slower than they are; nothing here inflates or decodes.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};

use super::super::listing::{Listing, ListingEntry};
use super::super::origin::ObjectOrigin;
use super::super::{FirstLook, ObjectReadError, SourceError};
use super::Bucket;
use super::body::{BodyRequest, MEMORY_BYTES_MAX, ObjectBody};

/// Stored bytes that are here or under way, and not yet given back.
const AHEAD_BYTES_MAX: u64 = 64 << 20;
const REQUESTS_MAX: usize = 64;
/// Objects that are being brought to disk, and not yet given back.
const ON_DISK_MAX: usize = 4;
/// Objects to try before giving up a bucket.
const SAMPLES_MAX: usize = 64;
/// Memory is counted in these.
const UNIT_BYTES: u64 = 1 << 10;
/// A smaller object is fetched whole at once: its head alone would cost as much.
const WHOLE_BYTES_MAX: u64 = 64 << 10;

/// Readers of a listing's objects. Objects in buckets are fetched in the order in which they were asked for.
pub struct ReadAhead {
    listing: Arc<Listing>,
    shared: Arc<ReadAheadState>,
    driver: Option<AbortHandle>,
}

#[derive(Default)]
struct ReadAheadState {
    slots: Mutex<BodySlots>,
    changed: Condvar,
}

#[derive(Default)]
struct BodySlots {
    bodies: HashMap<u32, Result<Arc<HeldBody>, ObjectReadError>>,
    /// Set once no more objects will come, with the reason.
    closed: Option<ObjectReadError>,
}

/// A body, and the share of the bounds that it takes up while it is here.
struct HeldBody {
    body: ObjectBody,
    _share: OwnedSemaphorePermit,
}

impl ReadAhead {
    /// Begins to fetch, in the order of `wanted`, which is called only if the listing has a bucket.
    pub fn start(listing: &Arc<Listing>, look: FirstLook, wanted: impl FnOnce() -> Vec<u32>) -> ReadAhead {
        let shared = Arc::new(ReadAheadState::default());
        let driver = listing.handle().map(|handle| {
            let driver = ReadAheadDriver {
                listing: Arc::clone(listing),
                shared: Arc::clone(&shared),
                look,
                memory: Arc::new(Semaphore::new((AHEAD_BYTES_MAX / UNIT_BYTES) as usize)),
                on_disk: Arc::new(Semaphore::new(ON_DISK_MAX)),
                requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            };
            handle.spawn(driver.run(wanted())).abort_handle()
        });
        ReadAhead { listing: Arc::clone(listing), shared, driver }
    }

    /// Opens an object, waiting until it is here. An error for an object in a bucket, and for a
    /// file that changed, holds an [`ObjectReadError`].
    pub fn open(&self, index: usize) -> io::Result<Box<dyn Read>> {
        if !self.listing.is_in_bucket(index) {
            return self.listing.object(index).open();
        }
        let mut slots = self.shared.lock();
        loop {
            if let Some(body) = slots.bodies.get(&(index as u32)) {
                return Ok(body.clone().map_err(io::Error::other)?.body.open());
            }
            if let Some(closed) = &slots.closed {
                return Err(io::Error::other(closed.clone()));
            }
            slots = self.shared.changed.wait(slots).expect("nothing panics while it holds the slots");
        }
    }

    /// Gives an object back, once nobody will open it again.
    pub fn done(&self, index: usize) {
        self.shared.lock().bodies.remove(&(index as u32));
    }

    /// Ends all waiting.
    pub fn stop(&self) {
        self.shared.close(ObjectReadError::Stopped);
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.stop();
    }
}

impl ReadAheadState {
    fn lock(&self) -> MutexGuard<'_, BodySlots> {
        self.slots.lock().expect("nothing panics while it holds the slots")
    }

    fn put(&self, index: u32, body: Result<Arc<HeldBody>, ObjectReadError>) {
        self.lock().bodies.insert(index, body);
        self.changed.notify_all();
    }

    fn close(&self, why: ObjectReadError) {
        self.lock().closed.get_or_insert(why);
        self.changed.notify_all();
    }
}

struct ReadAheadDriver {
    listing: Arc<Listing>,
    shared: Arc<ReadAheadState>,
    look: FirstLook,
    memory: Arc<Semaphore>,
    on_disk: Arc<Semaphore>,
    requests: Arc<Semaphore>,
}

impl ReadAheadDriver {
    async fn run(self, wanted: Vec<u32>) {
        // Dropping the set, as an abort of this task does, ends the requests under way.
        let mut fetches: JoinSet<Option<ObjectReadError>> = JoinSet::new();
        for index in wanted {
            let ObjectOrigin::Bucket(bucket) = self.listing.origin(index as usize) else { continue };
            let bytes = self.listing.bytes(index as usize);
            let share = self.share(bytes).await;
            let request = Arc::clone(&self.requests).acquire_owned().await.expect("it is never closed");
            let wanted =
                BodyRequest { key: self.listing.key(index as usize), bytes, etag: self.listing.etag(index as usize) };
            let (bucket, shared, listing) = (Arc::clone(bucket), Arc::clone(&self.shared), Arc::clone(&self.listing));
            let is_looked_at = listing.entry(index as usize) == ListingEntry::ByContent && bytes > WHOLE_BYTES_MAX;
            let look = is_looked_at.then_some(self.look);
            fetches.spawn(async move {
                let fetched = match look {
                    Some(look) if !bucket.may_be_log(&wanted, look).await => Err(ObjectReadError::NotALog),
                    _ => bucket.fetch(&wanted, || samples(&listing, &bucket)).await,
                };
                drop(request);
                let fatal =
                    fetched.as_ref().err().filter(|unread| matches!(unread, ObjectReadError::Fatal(_))).cloned();
                shared.put(index, fetched.map(|body| Arc::new(HeldBody { body, _share: share })));
                fatal
            });
            while let Some(ended) = fetches.try_join_next() {
                if let Some(fatal) = fatal_of(ended) {
                    return self.shared.close(fatal);
                }
            }
        }
        while let Some(ended) = fetches.join_next().await {
            if let Some(fatal) = fatal_of(ended) {
                return self.shared.close(fatal);
            }
        }
        self.shared.close(ObjectReadError::Stopped);
    }

    /// Waits until the object fits within the bounds.
    async fn share(&self, bytes: u64) -> OwnedSemaphorePermit {
        let (bound, units) = if bytes > MEMORY_BYTES_MAX {
            (&self.on_disk, 1)
        } else {
            (&self.memory, bytes.div_ceil(UNIT_BYTES).max(1))
        };
        Arc::clone(bound).acquire_many_owned(units as u32).await.expect("it is never closed")
    }
}

/// Keys of logs of a bucket, from its first to its last.
fn samples(listing: &Listing, bucket: &Arc<Bucket>) -> Vec<String> {
    let is_log = |index: &usize| {
        matches!(listing.origin(*index), ObjectOrigin::Bucket(of) if Arc::ptr_eq(of, bucket))
            && listing.entry(*index).is_opened()
    };
    let all: Vec<usize> = (0..listing.len()).filter(is_log).collect();
    let step = all.len().div_ceil(SAMPLES_MAX).max(1);
    let last = all.last().copied();
    all.into_iter().step_by(step).chain(last).map(|index| listing.key(index)).collect()
}

/// The reason to end all fetching, if there is one.
fn fatal_of(ended: Result<Option<ObjectReadError>, tokio::task::JoinError>) -> Option<ObjectReadError> {
    ended.unwrap_or_else(|error| Some(ObjectReadError::fatal(SourceError::Disk { source: io::Error::other(error) })))
}
