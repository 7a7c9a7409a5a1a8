//! Reads a checkpoint, which stands in for the commits before it.
//! In: the bytes of its file. Out: a [`Checkpoint`]: the files, the last batch and the metadata of a table.
//! Never takes a column or an action that its writer does not make: readers of tables may believe it.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, AsArray, MapArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{Int32Type, Int64Type};
use bytes::Bytes;
use deltalake::kernel::Add;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::{ParquetError, Result};
use serde_json::{Map, Value, json};

use super::chain::MADE;
use super::delta::APP;
use super::panicking::reading;

/// The actions that have a column.
const ACTIONS: [&str; 7] = ["add", "remove", "metaData", "protocol", "txn", "domainMetadata", "sidecar"];
/// The members that the entry of a file has.
const ADD_MEMBERS: [&str; 11] = [
    "path",
    "partitionValues",
    "size",
    "modificationTime",
    "dataChange",
    "stats",
    "tags",
    "deletionVector",
    "baseRowId",
    "defaultRowCommitVersion",
    "clusteringProvider",
];

/// A table as a checkpoint has it.
#[derive(Default)]
pub(super) struct Checkpoint {
    pub files: Vec<Add>,
    /// The last batch; 0 before the first.
    pub batch: i64,
    /// As it stands in a log, without its name and its words about itself.
    pub metadata: Value,
}

impl Checkpoint {
    /// Fails if it is no checkpoint, or not as keytrail's writer makes one.
    pub fn read(bytes: Bytes) -> Result<Checkpoint> {
        reading(|| Checkpoint::of(bytes))
    }

    fn of(bytes: Bytes) -> Result<Checkpoint> {
        let (mut read, mut removed, mut has_protocol) = (Checkpoint::default(), HashSet::new(), false);
        for rows in ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()? {
            let rows = rows?;
            let strange =
                rows.schema().fields().iter().find(|field| !ACTIONS.contains(&field.name().as_str())).cloned();
            if let Some(strange) = strange {
                return Err(odd(format!("it has a column `{}`", strange.name())));
            }
            read.take_files(action(&rows, "add")?)?;
            read.take_batch(action(&rows, "txn")?)?;
            read.take_metadata(action(&rows, "metaData")?)?;
            has_protocol |= has_known_protocol(action(&rows, "protocol")?)?;
            let removals = action(&rows, "remove")?;
            removed.extend(
                valid(removals)
                    .map(|row| Ok(text(removals, "path")?.value(row).to_owned()))
                    .collect::<Result<Vec<_>>>()?,
            );
            for name in ["domainMetadata", "sidecar"] {
                if rows.column_by_name(name).is_some_and(|column| column.null_count() < column.len()) {
                    return Err(odd(format!("it has an action `{name}`")));
                }
            }
        }
        if read.metadata.is_null() || !has_protocol {
            return Err(odd("it has no metadata or no protocol".to_owned()));
        }
        match read.files.iter().find(|add| removed.contains(&add.path)) {
            Some(add) => Err(odd(format!("it adds and removes `{}`", add.path))),
            None => Ok(read),
        }
    }

    fn take_files(&mut self, adds: &StructArray) -> Result<()> {
        if let Some(strange) = adds.column_names().into_iter().find(|name| !ADD_MEMBERS.contains(name)) {
            return Err(odd(format!("its files have a member `{strange}`")));
        }
        let (paths, stats) = (text(adds, "path")?, text(adds, "stats")?);
        let (sizes, times) = (numbers(adds, "size")?, numbers(adds, "modificationTime")?);
        let (partitions, tags) = (texts(adds, "partitionValues")?, texts(adds, "tags")?);
        let has_vector = |row| adds.column_by_name("deletionVector").is_some_and(|column| column.is_valid(row));
        for row in valid(adds) {
            if has_vector(row) {
                return Err(odd(format!("it takes rows out of `{}`", paths.value(row))));
            }
            self.files.push(Add {
                path: paths.value(row).to_owned(),
                size: sizes(row),
                modification_time: times(row),
                stats: stats.is_valid(row).then(|| stats.value(row).to_owned()),
                partition_values: pairs(partitions, row)?,
                tags: tags.is_valid(row).then(|| pairs(tags, row)).transpose()?,
                ..Add::default()
            });
        }
        Ok(())
    }

    fn take_batch(&mut self, transactions: &StructArray) -> Result<()> {
        let (apps, versions) = (text(transactions, "appId")?, numbers(transactions, "version")?);
        for row in valid(transactions).filter(|row| apps.value(*row) == APP) {
            if self.batch != 0 {
                return Err(odd("it has two last batches".to_owned()));
            }
            self.batch = versions(row);
        }
        Ok(())
    }

    fn take_metadata(&mut self, metadata: &StructArray) -> Result<()> {
        let (ids, schemas, made) = (text(metadata, "id")?, text(metadata, "schemaString")?, numbers(metadata, MADE)?);
        let configuration = texts(metadata, "configuration")?;
        let partitions = metadata.column_by_name("partitionColumns").and_then(|column| column.as_list_opt::<i32>());
        for row in valid(metadata) {
            if !self.metadata.is_null() {
                return Err(odd("it has metadata twice".to_owned()));
            }
            let partitions = partitions.map(|columns| columns.value(row)).ok_or_else(|| lacking("partitionColumns"))?;
            let partitions = partitions.as_string_opt::<i32>().ok_or_else(|| lacking("partitionColumns"))?;
            let configuration: Map<String, Value> =
                pairs(configuration, row)?.into_iter().map(|(name, value)| (name, value.into())).collect();
            self.metadata = json!({
                "id": ids.value(row), "schemaString": schemas.value(row), "configuration": configuration,
                "partitionColumns": partitions.iter().collect::<Vec<_>>(), MADE: made(row),
            });
        }
        Ok(())
    }
}

/// True if there is one. Fails on one that keytrail does not write.
fn has_known_protocol(protocols: &StructArray) -> Result<bool> {
    let versions =
        |name: &str| protocols.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int32Type>());
    for row in valid(protocols) {
        let found =
            ["minReaderVersion", "minWriterVersion"].map(|name| versions(name).map(|numbers| numbers.value(row)));
        if found != [Some(1), Some(2)] {
            return Err(odd("it has another protocol".to_owned()));
        }
    }
    Ok(valid(protocols).next().is_some())
}

fn odd(what: String) -> ParquetError {
    ParquetError::General(what)
}

fn lacking(name: &str) -> ParquetError {
    odd(format!("its `{name}` is not that of a checkpoint"))
}

fn action<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a StructArray> {
    rows.column_by_name(name).and_then(|column| column.as_struct_opt()).ok_or_else(|| lacking(name))
}

/// The rows that are of this action.
fn valid(of: &StructArray) -> impl Iterator<Item = usize> + '_ {
    (0..of.len()).filter(|row| of.is_valid(*row))
}

fn text<'a>(of: &'a StructArray, name: &str) -> Result<&'a StringArray> {
    of.column_by_name(name).and_then(|column| column.as_string_opt()).ok_or_else(|| lacking(name))
}

fn numbers<'a>(of: &'a StructArray, name: &str) -> Result<impl Fn(usize) -> i64 + use<'a>> {
    let numbers = of.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let numbers = numbers.ok_or_else(|| lacking(name))?;
    Ok(move |row| numbers.value(row))
}

fn texts<'a>(of: &'a StructArray, name: &str) -> Result<&'a MapArray> {
    of.column_by_name(name).and_then(|column| column.as_map_opt()).ok_or_else(|| lacking(name))
}

fn pairs(of: &MapArray, row: usize) -> Result<HashMap<String, Option<String>>> {
    let entries = of.value(row);
    let [names, values] = [0, 1].map(|at| entries.column(at).as_string_opt::<i32>());
    let (Some(names), Some(values)) = (names, values) else { return Err(lacking("texts")) };
    let pairs = names.iter().zip(values);
    Ok(pairs.map(|(name, value)| (name.unwrap_or_default().to_owned(), value.map(str::to_owned))).collect())
}
