//! The rotations of each key's material.
//! In: KMS's own records of rotations, the calls that ask for one, and what tells the origin of a key's material, in
//! any order. Out: one row a rotation, by key and time. Never counts a call and KMS's record of it twice.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Text, Timestamp};

use super::input::InputBatch;
use super::output::{OutputCell, OutputRows, column};
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const KEY_ROTATIONS: DerivedTable = DerivedTable {
    name: "key_rotations",
    columns: COLUMNS,
    by: &["key_arn"],
    unique: &[],
    time: RowTime::At("rotated_at"),
    start: |interval| Box::new(AllRotations { interval: *interval, ..AllRotations::default() }),
};

const COLUMNS: &[OutputColumn] = &[
    column("key_arn", Text),
    column("rotated_at", Timestamp),
    column("kind", Text),
    column("key_material_id", Text),
    column("event_id", Text),
];

/// Rough size of a key or a rotation, with its place and without its texts.
const ENTRY_BYTES: usize = 160;

/// The rotations of all keys so far.
#[derive(Debug, Default)]
struct AllRotations {
    interval: AskedInterval,
    keys: BTreeMap<String, KeyMaterial>,
    bytes: usize,
}

/// The rotations of one key, and the origin of its material.
#[derive(Debug, Default)]
struct KeyMaterial {
    is_imported: bool,
    is_origin_told: bool,
    /// KMS's own records.
    rotated: Vec<RotationRecord>,
    /// The calls that asked for one.
    asked: Vec<RotationRecord>,
}

/// A record of a rotation. The order of the fields is that of the records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RotationRecord {
    at: Option<i64>,
    event_id: String,
    material_id: Option<String>,
    /// As KMS's record tells it.
    rotation_type: Option<String>,
    is_imported: bool,
}

impl KeyMaterial {
    /// Takes the record of a change; says what it holds of it.
    fn take(&mut self, event_name: &str, origin: Option<&str>, record: RotationRecord) -> usize {
        self.is_origin_told |= origin.is_some();
        self.is_imported |= origin == Some("EXTERNAL");
        let bytes = ENTRY_BYTES + record.event_id.len() + record.material_id.as_ref().map_or(0, String::len);
        match event_name {
            "RotateKey" => self.rotated.push(RotationRecord { is_imported: origin == Some("EXTERNAL"), ..record }),
            "RotateKeyOnDemand" => self.asked.push(record),
            _ => return 0,
        }
        bytes
    }

    /// One record for each rotation with its kind, in the order of time.
    fn rotations(mut self, interval: AskedInterval) -> Vec<(RotationRecord, Option<&'static str>)> {
        self.rotated.sort_unstable();
        self.asked.sort_unstable();
        // A key never has the same material twice.
        let mut rotated: Vec<RotationRecord> = Vec::new();
        let mut materials = std::collections::HashSet::new();
        for record in self.rotated {
            if record.material_id.as_ref().is_none_or(|id| materials.insert(id.clone())) {
                rotated.push(record);
            }
        }
        let mut rows = Vec::new();
        // KMS takes no call while a rotation is under way, so each record belongs to the last call before it.
        let mut waiting: Vec<RotationRecord> = Vec::new();
        let mut asked = self.asked.into_iter().peekable();
        for record in rotated {
            while let Some(call) = asked.next_if(|call| call.at <= record.at) {
                waiting.push(call);
            }
            let may_be_asked = record.rotation_type.as_deref() != Some("AUTOMATIC");
            let call = if may_be_asked { waiting.pop() } else { None };
            let kind = match record.rotation_type.as_deref() {
                _ if record.is_imported => Some("imported"),
                Some("AUTOMATIC") => Some("automatic"),
                Some("ON_DEMAND") => Some("on_demand"),
                // Older records have no type; the call tells it.
                _ => call.map(|_| "on_demand"),
            };
            rows.push((record, kind));
        }
        let kind = match (self.is_imported, self.is_origin_told || !interval.lacks_earlier()) {
            (true, _) => Some("imported"),
            (false, true) => Some("on_demand"),
            (false, false) => None,
        };
        rows.extend(waiting.into_iter().chain(asked).map(|call| (call, kind)));
        rows.sort_unstable();
        rows
    }
}

impl Derivation for AllRotations {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let batch = InputBatch::new("key_rotations", rows);
        let (arns, times, ids) = (batch.texts("key_arn")?, batch.times("event_time")?, batch.texts("event_id")?);
        let (names, materials) = (batch.texts("event_name")?, batch.texts("key_material_id")?);
        let (types, origins) = (batch.texts("rotation_type")?, batch.texts("key_origin")?);
        for row in 0..batch.len() {
            let (Some(arn), Some(name)) = (arns.get(row), names.get(row)) else { continue };
            if !self.keys.contains_key(arn) {
                self.bytes += ENTRY_BYTES + arn.len();
                self.keys.insert(arn.to_owned(), KeyMaterial::default());
            }
            let key = self.keys.get_mut(arn).expect("it was just put there");
            let record = RotationRecord {
                at: times.get(row),
                event_id: ids.owned(row).unwrap_or_default(),
                material_id: materials.owned(row),
                rotation_type: types.owned(row),
                is_imported: false,
            };
            self.bytes += key.take(name, origins.get(row), record);
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        for (arn, key) in self.keys {
            for (record, kind) in key.rotations(self.interval) {
                rows.push([
                    (&arn).into(),
                    OutputCell::Time(record.at),
                    kind.into(),
                    (&record.material_id).into(),
                    (&record.event_id).into(),
                ])?;
            }
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::EarlierHistory;
    use super::super::testing::{assert_order_free, batch, lines};
    use super::*;

    /// Records of one key, `TIME NAME MATERIAL TYPE ORIGIN` each; `-` is NULL. Their ids are their places.
    fn rotations(interval: AskedInterval, records: &str) -> String {
        let records = records.split(", ").enumerate().map(|(place, record)| {
            let words: Vec<Option<&str>> = record.split(' ').map(|word| (word != "-").then_some(word)).collect();
            let text = |place: usize| OutputCell::Text(words.get(place).copied().flatten());
            batch(&[
                ("key_arn", "k".into()),
                ("event_time", OutputCell::Time(words[0].and_then(|time| time.parse().ok()))),
                ("event_id", OutputCell::Text(Some(&format!("e{place}")))),
                ("event_name", text(1)),
                ("key_material_id", text(2)),
                ("rotation_type", text(3)),
                ("key_origin", text(4)),
            ])
        });
        lines(&assert_order_free(&KEY_ROTATIONS, interval, &records.collect::<Vec<_>>()))
    }

    #[test]
    fn a_rotation_is_one_row() {
        for (records, wanted) in [
            ("5 RotateKey m2 AUTOMATIC AWS_KMS", "k 5 automatic m2 e0"),
            // The call and KMS's record of it.
            ("5 RotateKeyOnDemand, 9 RotateKey m2 ON_DEMAND AWS_KMS", "k 9 on_demand m2 e1"),
            ("5 RotateKeyOnDemand, 5 RotateKey m2 ON_DEMAND", "k 5 on_demand m2 e1"),
            // The call alone, until the record is seen.
            ("5 RotateKeyOnDemand", "k 5 on_demand - e0"),
            // An automatic one is not that of the call, nor is one from before it.
            ("5 RotateKeyOnDemand, 9 RotateKey m2 AUTOMATIC", "k 5 on_demand - e0; k 9 automatic m2 e1"),
            ("5 RotateKey m2 ON_DEMAND, 9 RotateKeyOnDemand", "k 5 on_demand m2 e0; k 9 on_demand - e1"),
            // Two calls, the record of the first is lost.
            (
                "1 RotateKeyOnDemand, 5 RotateKeyOnDemand, 9 RotateKey m2 ON_DEMAND",
                "k 1 on_demand - e0; k 9 on_demand m2 e2",
            ),
            // The same material twice is one rotation.
            (
                "5 RotateKey m2 AUTOMATIC, 6 RotateKey m2 AUTOMATIC, 8 RotateKey m3 AUTOMATIC",
                "k 5 automatic m2 e0; k 8 automatic m3 e2",
            ),
            // Material that is not KMS's own. To import it is no rotation.
            (
                "1 ImportKeyMaterial m1 - EXTERNAL, 2 ImportKeyMaterial m2 - EXTERNAL, 5 RotateKeyOnDemand",
                "k 5 imported - e2",
            ),
            ("5 RotateKey m2 ON_DEMAND EXTERNAL", "k 5 imported m2 e0"),
            // Old records have neither type nor material.
            ("5 RotateKey", "k 5 - - e0"),
            ("4 RotateKeyOnDemand, 5 RotateKey, 7 RotateKey", "k 5 on_demand - e1; k 7 - - e2"),
            ("1 CreateKey - - AWS_KMS", ""),
        ] {
            assert_eq!(rotations(AskedInterval::default(), records), wanted, "{records}");
        }
    }

    #[test]
    fn a_call_alone_has_a_kind_only_where_the_origin_is_known() {
        let unread = AskedInterval { since: Some(3), until: None, earlier: EarlierHistory::NotRead };
        assert_eq!(rotations(unread, "5 RotateKeyOnDemand"), "k 5 - - e0");
        assert_eq!(rotations(unread, "1 CreateKey - - AWS_KMS, 5 RotateKeyOnDemand"), "k 5 on_demand - e1");
        assert_eq!(rotations(unread, "1 ImportKeyMaterial - - EXTERNAL, 5 RotateKeyOnDemand"), "k 5 imported - e1");
    }
}
