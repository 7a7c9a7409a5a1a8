//! One file of a table, as the log describes it.
//! In: an `Add` of the log. Out: [`DataFile`], whose statistics are parsed once.
//! Never opens the file.

use std::collections::HashMap;

use chrono::NaiveDate;
use deltalake::kernel::Add;
use object_store::path::Path;
use serde_json::Value;

use super::StoreError;
use super::column_stats::SUM_TAG;
use super::location::StoreLocation;
use super::parquet_writer::{NORMALIZER_KEY, SHA256_TAG};
use super::proved_tail::{FileTail, TAIL_TAG};
use super::table_id::TableId;
use crate::schema::Column;

/// A file of a table at one version of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// The full path in the snapshot's object store.
    pub path: Path,
    /// The length that the file must have.
    pub bytes: u64,
    /// Its rows, by the log.
    pub rows: u64,
    /// The value of `event_date` for all its rows, which the file itself does not hold.
    pub day: Option<i32>,
    /// Least and greatest `event_time`, in microseconds since 1970, where known.
    pub first_event: Option<i64>,
    /// See `first_event`; up to a millisecond too great, since the log keeps milliseconds.
    pub last_event: Option<i64>,
    /// Rows without a time.
    pub untimed: u64,
    /// The number of the normalizer that made the derived columns of its rows; 0 if it is unknown.
    pub normalizer: u32,
    /// Bounds of its columns.
    pub stats: FileStats,
    /// Of its bytes, as 64 hexadecimal digits, where the log has it.
    pub sha256: Option<String>,
    /// Its end, where the log has the hash of that.
    pub tail: Option<FileTail>,
}

impl DataFile {
    /// Fails if the file's folder names no day, its size is none, or its tag names no normalizer.
    pub(super) fn of(location: &StoreLocation, id: TableId, add: &Add) -> Result<DataFile, StoreError> {
        let day = add.partition_values.get(Column::EventDate.name()).cloned().flatten();
        let damaged = |what| StoreError::Damaged { path: location.shown.clone(), what };
        let day = day.map(|text| day_of_name(&text).ok_or_else(|| damaged(format!("`{text}` is no day"))));
        let (rows, stats) = FileStats::of(add.stats.as_deref().unwrap_or_default());
        let bytes = u64::try_from(add.size)
            .map_err(|_| damaged(format!("its log says that `{}` has {} bytes", add.path, add.size)))?;
        let time = |bound: Option<&str>| bound.and_then(crate::time::parse_rfc3339);
        let times = stats.column(Column::EventTime.name());
        Ok(DataFile {
            path: location.path(&format!("{}/{}", id.name(), add.path)),
            bytes,
            rows,
            day: day.transpose()?,
            first_event: time(times.and_then(|times| times.least.as_deref())),
            last_event: time(times.and_then(|times| times.greatest.as_deref())),
            untimed: times.and_then(|times| times.nulls).unwrap_or(0),
            normalizer: normalizer_of(location, add)?,
            stats,
            sha256: tag(add, SHA256_TAG).map(str::to_owned),
            tail: tag(add, TAIL_TAG).and_then(|tail| FileTail::of(tail, bytes)),
        })
    }
}

impl DataFile {
    /// The most rows that can lack an account or a Region.
    pub fn unplaced_max(&self) -> u64 {
        let columns = [Column::RecipientAccountId, Column::AwsRegion].into_iter();
        columns.map(|column| self.nulls_max(column)).fold(0, u64::saturating_add)
    }

    /// The most rows that can be NULL in a column.
    pub(super) fn nulls_max(&self, column: Column) -> u64 {
        self.stats.column(column.name()).and_then(|known| known.nulls).unwrap_or(self.rows)
    }
}

/// The number of a file's normalizer, by its tag in the log. It is 0, older than all others, without a tag. Fails on a
/// tag that is no number.
pub(super) fn normalizer_of(location: &StoreLocation, add: &Add) -> Result<u32, StoreError> {
    let Some(text) = normalizer_tag(add) else { return Ok(0) };
    let number = text.parse::<u32>().ok().filter(|number| number.to_string() == text);
    let what = || format!("`{}` says that `{text}` is the number of its normalizer", add.path);
    number.ok_or_else(|| StoreError::Damaged { path: location.shown.clone(), what: what() })
}

/// The same as it stands in the log.
pub(super) fn normalizer_tag(add: &Add) -> Option<&str> {
    tag(add, NORMALIZER_KEY)
}

/// The sum of a column of counts, where the log has it.
pub(super) fn sum_in_log(add: &Add, column: &str) -> Option<u64> {
    tag(add, &format!("{SUM_TAG}{column}"))?.parse().ok()
}

fn tag<'a>(add: &'a Add, name: &str) -> Option<&'a str> {
    add.tags.as_ref()?.get(name)?.as_deref()
}

/// The log's statistics of the columns of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileStats {
    columns: HashMap<Box<str>, ColumnStats>,
}

/// The statistics of a column; each is `None` if the log does not have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnStats {
    /// No value is less than this text; a time is in RFC 3339.
    pub least: Option<Box<str>>,
    /// No value is greater.
    pub greatest: Option<Box<str>>,
    /// Rows that are NULL.
    pub nulls: Option<u64>,
}

impl FileStats {
    /// The number of rows, and the columns that have texts for bounds; of text that is none of Delta's, nothing.
    fn of(text: &str) -> (u64, FileStats) {
        let stats: Value = serde_json::from_str(text).unwrap_or_default();
        let mut columns: HashMap<Box<str>, ColumnStats> = HashMap::new();
        let members = |which: &str| stats[which].as_object().into_iter().flatten();
        let bound = |value: &Value| value.as_str().map(Box::from);
        for (name, value) in members("minValues") {
            columns.entry(name.as_str().into()).or_default().least = bound(value);
        }
        for (name, value) in members("maxValues") {
            columns.entry(name.as_str().into()).or_default().greatest = bound(value);
        }
        for (name, value) in members("nullCount") {
            columns.entry(name.as_str().into()).or_default().nulls = value.as_u64();
        }
        (stats["numRecords"].as_u64().unwrap_or(0), FileStats { columns })
    }

    /// The statistics of a column, by its name.
    pub fn column(&self, name: &str) -> Option<&ColumnStats> {
        self.columns.get(name)
    }
}

/// The day of a file's rows, by its entry in the log.
pub(super) fn day_in_log(add: &Add) -> Option<i32> {
    day_of_name(add.partition_values.get(Column::EventDate.name())?.as_deref()?)
}

/// The day that names a partition.
pub(super) fn day_of_name(text: &str) -> Option<i32> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    i32::try_from((day - NaiveDate::default()).num_days()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_what_the_log_says_and_no_more() {
        let text = r#"{"numRecords":3,"minValues":{"a":"x","n":1},"maxValues":{"a":"y"},"nullCount":{"a":0,"b":3}}"#;
        let (rows, stats) = FileStats::of(text);
        assert_eq!(rows, 3);
        let text = |text: &str| Some(Box::from(text));
        for (name, least, greatest, nulls) in
            [("a", text("x"), text("y"), Some(0)), ("b", None, None, Some(3)), ("n", None, None, None)]
        {
            assert_eq!(stats.column(name), Some(&ColumnStats { least, greatest, nulls }), "{name}");
        }
        assert_eq!(stats.column("c"), None);
        assert_eq!(FileStats::of("no JSON"), (0, FileStats::default()));
    }

    #[test]
    fn a_size_below_nothing_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let location = StoreLocation::local(folder.path()).unwrap();
        let of = |size| DataFile::of(&location, TableId::Events, &Add { size, ..Add::default() });
        assert_eq!(of(7).unwrap().bytes, 7);
        assert!(matches!(of(-1), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn a_file_that_names_no_normalizer_is_older_than_all_and_no_number_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let location = StoreLocation::local(folder.path()).unwrap();
        for (tags, number) in [
            (None, Some(0)),
            (Some("1"), Some(1)),
            (Some("12"), Some(12)),
            (Some("x"), None),
            (Some(""), None),
            (Some("0"), Some(0)),
            (Some("-1"), None),
            (Some("+1"), None),
            (Some("01"), None),
            (Some("1 "), None),
            (Some("18446744073709551616"), None),
        ] {
            let add = Add {
                tags: tags.map(|tag: &str| [(NORMALIZER_KEY.to_owned(), Some(tag.to_owned()))].into()),
                ..Add::default()
            };
            assert_eq!(normalizer_of(&location, &add).ok(), number, "{tags:?}");
        }
    }
}
