//! The chain of a table's commits: each tells the SHA-256 of the one before it, a hash of its own content, and one of the
//! state of the table after it.
//! In: the text of commits, and entries of files. Out: [`CommitLink`]s, the seal of a commit to come, and [`TableState`]s.
//! Never signs: whoever writes all commits anew makes a chain that holds, but with another head.

use std::collections::BTreeMap;

use deltalake::kernel::{Action, Add, CommitInfo};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::hash::{LogicalHash, finished, sha256_hex};

/// The note with the SHA-256 of the commit before, of the same table.
pub(super) const PREVIOUS: &str = "keytrail.previous";
/// The note with the hash of everything else in the commit.
pub(super) const SELF: &str = "keytrail.self";
/// The note with the hash of the table's state after the commit.
pub(super) const STATE: &str = "keytrail.state";
/// The note with number and SHA-256 of the newest commits of the other tables that the writer saw.
pub(super) const TABLES: &str = "keytrail.tables";
/// The note with the SHA-256 of the checkpoint of the version before, where there was one.
pub(super) const CHECKPOINT: &str = "keytrail.checkpoint";
/// The member of a table's metadata with the time when it was made, in milliseconds since 1970.
pub(super) const MADE: &str = "createdTime";
/// The tag of an `Add` with the hash of its own content.
pub(super) const ADD_TAG: &str = "keytrail.add";

/// JSON as text with sorted keys and without spaces.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let members = sorted.iter().map(|(name, value)| format!("{}:{}", json!(name), canonical(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        plain => plain.to_string(),
    }
}

/// The hash of the content of an entry: everything by which an answer chooses the file or believes it.
/// Each text is preceded by its length, so that no two contents give the same bytes.
fn add_hash(add: &Add) -> LogicalHash {
    let mut hash = Sha256::new();
    let mut put = |text: Option<&str>| {
        hash.update(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        hash.update(text.unwrap_or_default());
    };
    put(Some(&add.path));
    [add.size, add.modification_time].iter().for_each(|number| put(Some(&number.to_string())));
    put(add.stats.as_deref());
    put(Some(&add.deletion_vector.is_some().to_string()));
    let tags = add.tags.iter().flatten().filter(|(name, value)| *name != ADD_TAG && value.is_some());
    for pairs in [add.partition_values.iter().collect::<BTreeMap<_, _>>(), tags.collect()] {
        put(Some(&pairs.len().to_string()));
        for (name, value) in pairs {
            put(Some(name));
            put(value.as_deref());
        }
    }
    LogicalHash::of(&hash.finalize().into())
}

/// The entry with its tag.
pub(super) fn tagged(mut add: Add) -> Add {
    let tag = add_hash(&add).to_string();
    add.tags.get_or_insert_default().insert(ADD_TAG.to_owned(), Some(tag));
    add
}

/// The tag of an entry, held to its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddProof {
    /// It has none: it is older than the chain.
    Untagged,
    Right,
    Wrong,
}

/// The words of an entry whose tag is wrong.
pub(super) fn unlike_writer(add: &Add) -> String {
    format!("the log describes `{}` otherwise than its writer did", add.path)
}

/// True of an entry from after the beginning of the chain.
pub(super) fn is_tagged(add: &Add) -> bool {
    add.tags.as_ref().is_some_and(|tags| tags.contains_key(ADD_TAG))
}

pub(super) fn proof_of(add: &Add) -> AddProof {
    proof_by(add, add_hash(add))
}

fn proof_by(add: &Add, hash: LogicalHash) -> AddProof {
    match add.tags.as_ref().and_then(|tags| tags.get(ADD_TAG)) {
        None => AddProof::Untagged,
        Some(tag) if *tag == Some(hash.to_string()) => AddProof::Right,
        Some(_) => AddProof::Wrong,
    }
}

/// The files and the last batch of a table at one version.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableState {
    files: LogicalHash,
    count: u64,
    pub batch: i64,
}

impl TableState {
    /// No file yet, after this batch.
    pub fn at(batch: i64) -> TableState {
        TableState { batch, ..TableState::default() }
    }

    /// Adds a file; gives the proof of its entry.
    pub fn add(&mut self, add: &Add) -> AddProof {
        let hash = add_hash(add);
        self.files.add(hash);
        self.count += 1;
        proof_by(add, hash)
    }

    pub fn remove(&mut self, add: &Add) {
        self.files.take(add_hash(add));
        self.count = self.count.wrapping_sub(1);
    }

    /// One hash for the state of a table with this metadata. Of the metadata that counts which an answer depends on.
    pub fn hash(&self, metadata: &Value) -> String {
        let members = ["id", "schemaString", "partitionColumns", "configuration"];
        let members: Vec<&Value> = members.iter().map(|name| &metadata[*name]).collect();
        sha256_hex(canonical(&json!([self.files.to_string(), self.count, self.batch, members])).as_bytes())
    }
}

/// The actions of a commit with its information before them, which seals them all.
pub(super) fn sealed(mut info: CommitInfo, mut actions: Vec<Action>) -> Result<Vec<Action>, serde_json::Error> {
    actions.insert(0, Action::CommitInfo(info.clone()));
    let mut own = Sha256::new();
    for action in &actions {
        seal(&mut own, &serde_json::to_value(action)?);
    }
    info.info.insert(SELF.to_owned(), finished(own).into());
    actions[0] = Action::CommitInfo(info);
    Ok(actions)
}

fn seal(own: &mut Sha256, action: &Value) {
    own.update(canonical(action));
    own.update("\n");
}

/// The words of a commit on itself and on others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommitLink {
    /// Of its bytes.
    pub sha256: String,
    /// The same of the commit before, as it says.
    pub previous: Option<String>,
    /// The hash of the state of the table, as it says.
    pub state: Option<String>,
    /// Number and SHA-256 of commits of other tables, as it says.
    pub tables: BTreeMap<String, (u64, String)>,
    /// The SHA-256 of the checkpoint of the commit before, as it says.
    pub checkpoint: Option<String>,
    /// `None` if it says nothing of itself, else true if that is right.
    pub own: Option<bool>,
}

impl CommitLink {
    /// The link of a commit, and its actions as JSON.
    pub fn read(bytes: &[u8]) -> (CommitLink, Vec<Value>) {
        let mut link = CommitLink {
            sha256: sha256_hex(bytes),
            previous: None,
            state: None,
            tables: BTreeMap::new(),
            checkpoint: None,
            own: None,
        };
        let (mut own, mut actions, mut is_whole, mut said) = (Sha256::new(), Vec::new(), true, None);
        for line in bytes.split(|byte| *byte == b'\n') {
            let Ok(mut action) = serde_json::from_slice::<Value>(line) else {
                is_whole = false;
                continue;
            };
            // A name that stands there twice, or a space, is none of ours.
            is_whole &= canonical(&action).len() == line.len();
            if let Some(info) = action.get_mut("commitInfo").and_then(Value::as_object_mut) {
                said = info.remove(SELF);
                link.take_notes(info);
            }
            seal(&mut own, &action);
            actions.push(action);
        }
        let own = finished(own);
        link.own = said.map(|said| is_whole && said == own.as_str());
        (link, actions)
    }

    fn take_notes(&mut self, info: &Map<String, Value>) {
        let text = |name: &str| info.get(name).and_then(Value::as_str).map(str::to_owned);
        (self.previous, self.state, self.checkpoint) = (text(PREVIOUS), text(STATE), text(CHECKPOINT));
        let tables = info.get(TABLES).cloned().and_then(|tables| serde_json::from_value(tables).ok());
        self.tables = tables.unwrap_or_default();
    }

    /// The fault of a commit beside the one before it, where that is known.
    pub fn fault(&self, before: Option<&CommitLink>) -> Option<&'static str> {
        match self.own {
            Some(false) => return Some("is not as its writer made it"),
            Some(true) if self.state.is_none() => return Some("does not say to which files it leads"),
            _ => {}
        }
        let before = before?;
        match &self.previous {
            Some(previous) if *previous != before.sha256 => Some("follows another commit than the one before it"),
            None if self.own.is_some() => Some("does not say which commit it follows"),
            _ if self.own.is_none() && before.own.is_some() => Some("has no seal"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(path: &str) -> Add {
        Add { path: path.to_owned(), size: 7, stats: Some(r#"{"numRecords":3}"#.to_owned()), ..Add::default() }
    }

    #[test]
    fn a_tag_holds_for_one_content_only() {
        let whole = tagged(add("a"));
        assert_eq!((proof_of(&add("a")), proof_of(&whole)), (AddProof::Untagged, AddProof::Right));
        type Edit = fn(&mut Add);
        let edits: [Edit; 6] = [
            |add| add.path.push('b'),
            |add| add.size += 1,
            |add| add.modification_time += 1,
            |add| add.stats = Some(r#"{"numRecords":2}"#.to_owned()),
            |add| drop(add.partition_values.insert("event_date".to_owned(), None)),
            |add| drop(add.tags.as_mut().unwrap().insert("keytrail.sha256".to_owned(), Some("1".to_owned()))),
        ];
        for edit in edits {
            let mut edited = whole.clone();
            edit(&mut edited);
            assert_eq!(proof_of(&edited), AddProof::Wrong, "{edited:?}");
        }
    }

    #[test]
    fn a_state_depends_on_files_batch_and_metadata_alone() {
        let metadata = json!({ "id": "x", "configuration": { "a": "1" } });
        let mut both = TableState::default();
        assert_eq!(["a", "b"].map(|path| both.add(&add(path))), [AddProof::Untagged; 2]);
        let mut other = TableState::default();
        assert_eq!(["b", "c"].map(|path| other.add(&tagged(add(path)))), [AddProof::Right; 2]);
        other.add(&add("a"));
        assert_ne!(both.hash(&metadata), other.hash(&metadata));
        other.remove(&add("c"));
        assert_eq!(both.hash(&metadata), other.hash(&metadata));
        assert_ne!(both.hash(&metadata), TableState { batch: 1, ..both }.hash(&metadata));
        assert_ne!(both.hash(&metadata), both.hash(&json!({ "id": "x", "configuration": { "a": "2" } })));
    }

    /// Every change of a sealed commit is seen by itself, or by the commit after it.
    #[test]
    fn a_sealed_commit_is_known_again() {
        let mut info = CommitInfo::default();
        info.info.insert(PREVIOUS.to_owned(), "p".into());
        info.info.insert(STATE.to_owned(), "s".into());
        let actions = sealed(info, vec![Action::Add(tagged(add("a")))]).unwrap();
        let lines: Vec<String> = actions.iter().map(|action| serde_json::to_string(action).unwrap()).collect();
        let text = lines.join("\n");
        let (link, read) = CommitLink::read(text.as_bytes());
        assert_eq!((link.own, link.previous.as_deref(), read.len()), (Some(true), Some("p"), 2), "{text}");
        for (from, to) in [
            ("\"size\":7", "\"size\":8"),
            ("\"size\":7", "\"size\": 7"),
            ("\"size\":7", "\"size\":7,\"size\":7"),
            ("\"p\"", "\"q\""),
            ("\n", "\n\n"),
        ] {
            let edited = text.replacen(from, to, 1);
            assert_eq!(CommitLink::read(edited.as_bytes()).0.own, Some(false), "{edited}");
        }
        let unsealed = CommitLink { own: None, ..link.clone() };
        let other = CommitLink { previous: Some(link.sha256.clone()), ..link.clone() };
        assert_eq!(other.fault(Some(&link)), None);
        assert!(other.fault(Some(&CommitLink { sha256: "x".to_owned(), ..link.clone() })).is_some());
        assert!(CommitLink { previous: None, ..link.clone() }.fault(Some(&link)).is_some());
        assert!(CommitLink { state: None, ..link.clone() }.fault(None).is_some());
        assert!(CommitLink { own: None, ..other }.fault(Some(&link)).is_some());
        assert_eq!(CommitLink { previous: None, ..unsealed.clone() }.fault(Some(&unsealed)), None);
    }
}
