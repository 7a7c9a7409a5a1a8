//! The names of logs, as digests have them and as copies have them.
//! In: the key of a log, or the place of an object. Out: hashes by which both are known to be one log.
//! Never reads an object: a log is known by the end of its path alone.

use keytrail_rows::objects::{TOP_FOLDER, organization_of};
use xxhash_rust::xxh3::xxh3_128;

const ZIPPED: &str = ".gz";

/// The end of a name that is the same in every copy: below AWS's own folder and that of an organization, else the name
/// of the file. A copy that was unzipped lacks the last ending.
pub(crate) fn end_of(name: &str) -> &str {
    let name = name.strip_suffix(ZIPPED).unwrap_or(name);
    match name.rfind(TOP_FOLDER) {
        Some(at) if at == 0 || name.as_bytes()[at - 1] == b'/' => {
            let below = &name[at + TOP_FOLDER.len()..];
            organization_of(name).map_or(below, |organization| &below[organization.len() + 1..])
        }
        _ => file_name(name),
    }
}

fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The hash of the name of an object that is here.
pub(crate) fn object_hash(name: &str) -> u128 {
    xxh3_128(end_of(name).as_bytes())
}

/// The hashes that an object has which may be this log: one that lies outside AWS's folders has only its name.
pub(crate) fn log_hashes(log: &str) -> [u128; 2] {
    let end = end_of(log);
    [end, file_name(end)].map(|name| xxh3_128(name.as_bytes()))
}
