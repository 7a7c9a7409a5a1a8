//! Keeps the links of the commits of a table that somebody reads.
//! In: the name of the folder of its log, and reads. Out: the same bytes, and [`CommitLink`]s.
//! Never reads anything by itself, and never changes what passes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use deltalake::ObjectStore;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetResult, GetResultPayload, Result};

use super::chain::CommitLink;
use super::read_through::ReadThrough;

/// Links that are kept below the version of a table: other tables may name some of them.
const KEPT_LINKS: u64 = 64;

/// The log of one table.
#[derive(Debug, Clone)]
pub(super) struct LogTap {
    /// The folder of the log.
    log: Path,
    seen: Arc<Mutex<BTreeMap<u64, CommitLink>>>,
}

impl LogTap {
    /// The log in a folder such as `events/_delta_log`.
    pub fn new(log: Path) -> LogTap {
        LogTap { log, seen: Arc::default() }
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<u64, CommitLink>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first commit up to a version that contradicts itself or the one before it, of those that were read. Those long
    /// before are forgotten if there is none.
    pub fn fault_until(&self, version: u64) -> Option<(u64, &'static str)> {
        let mut seen = self.seen();
        let mut before: Option<(u64, &CommitLink)> = None;
        for (number, link) in seen.range(..=version) {
            let previous = before.filter(|(before, _)| before + 1 == *number).map(|(_, link)| link);
            if let Some(fault) = link.fault(previous) {
                return Some((*number, fault));
            }
            before = Some((*number, link));
        }
        *seen = seen.split_off(&version.saturating_sub(KEPT_LINKS));
        None
    }

    /// The link of one commit, if it was read.
    pub fn link(&self, version: u64) -> Option<CommitLink> {
        self.seen().get(&version).cloned()
    }

    fn keep(&self, version: u64, bytes: &[u8]) {
        let (link, _) = CommitLink::read(bytes);
        self.seen().insert(version, link);
    }

    fn version_of(&self, path: &Path) -> Option<u64> {
        let mut inside = path.prefix_match(&self.log)?;
        let name = inside.next()?;
        commit_version(name.as_ref()).filter(|_| inside.next().is_none())
    }
}

/// The number in the name of a commit.
pub(super) fn commit_version(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json").filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[async_trait]
impl ReadThrough for LogTap {
    async fn get(&self, from: &dyn ObjectStore, file: &Path, options: GetOptions) -> Result<GetResult> {
        let version = self.version_of(file).filter(|_| !options.head && options.range.is_none());
        let got = from.get_opts(file, options).await?;
        let Some(version) = version else { return Ok(got) };
        let (meta, range, attributes) = (got.meta.clone(), got.range.clone(), got.attributes.clone());
        let bytes = got.bytes().await?;
        self.keep(version, &bytes);
        let payload = GetResultPayload::Stream(futures::stream::once(async move { Ok(bytes) }).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }
}
