//! THE list of columns of the tables `objects` and `quarantine`, of those that stand beside them (hours, digests,
//! verdicts), and of a store's ledger.
//! In: nothing. Out: for each table its columns, a reader that borrows them from a batch, a row, and a builder.
//! Bound by the format of stores: the names, types, nullability and order of these columns are on disk.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Schema, SchemaRef};

use super::fields::{
    ColumnError, CountField, CountsField, NumberField, OptionalDayField, OptionalNumberField, OptionalTextField,
    OptionalTimeField, TableColumn, TableField, TextField, TypedColumn, WordColumn, WordField,
};
use super::outcome::ObjectOutcome;
use super::words::{FaultReason, ObjectKind, ObjectStatus};

macro_rules! table {
    (
        $(#[$doc:meta])*
        $all:ident $columns:ident $rows:ident $row:ident $builder:ident
        $($column:ident: $field:ty, $meaning:literal;)*
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $columns {
            $(#[doc = $meaning] pub $column: TypedColumn<$field>,)*
        }

        $(#[$doc])*
        pub const $all: $columns = $columns {
            $($column: TypedColumn::new(stringify!($column), $meaning),)*
        };

        impl $columns {
            /// In the order of the schema.
            pub fn list(&self) -> Vec<TableColumn> {
                [$(self.$column.columns()),*].concat()
            }

            /// The Arrow schema of the table.
            pub fn schema(&self) -> SchemaRef {
                Arc::new(Schema::new(self.list().iter().map(TableColumn::field).collect::<Vec<_>>()))
            }
        }

        $(#[$doc])*
        /// Borrowed from a batch.
        pub struct $rows<'b> {
            $(pub $column: <$field as TableField>::Array<'b>,)*
        }

        impl<'b> $rows<'b> {
            /// Borrows the columns of a batch. Fails if one is missing, of another type, or NULL against its
            /// declaration.
            pub fn of(rows: &'b RecordBatch) -> Result<$rows<'b>, ColumnError> {
                Ok($rows { $($column: $all.$column.of(rows)?,)* })
            }
        }

        $(#[$doc])*
        /// One row of them.
        pub struct $row<'a> {
            $(pub $column: <$field as TableField>::Value<'a>,)*
        }

        /// Puts rows into columns.
        pub struct $builder {
            $($column: <$field as TableField>::Builder,)*
        }

        impl Default for $builder {
            fn default() -> $builder {
                $builder { $($column: <$field>::builder(),)* }
            }
        }

        impl $builder {
            /// Adds a row.
            pub fn append(&mut self, row: $row<'_>) {
                $(<$field>::append(&mut self.$column, row.$column);)*
            }

            /// All rows, with the schema of the table.
            pub fn finish(self) -> RecordBatch {
                let columns: Vec<ArrayRef> = [$(<$field>::finish(self.$column)),*].concat();
                RecordBatch::try_new($all.schema(), columns).expect("the builders follow the schema")
            }
        }
    };
}

table! {
    /// The columns of the table `objects`.
    OBJECT_COLUMNS ObjectColumns ObjectRows ObjectRow ObjectBuilder
    uri: TextField, "where the object is: its path, `s3://BUCKET/KEY` or `cloudtrail://REGION/…`; a byte that is not UTF-8 is `%XX`";
    kind: WordField<ObjectKind>, "see Kinds";
    status: WordField<ObjectStatus>, "see Statuses";
    counts: CountsField, "the counts of its records";
    bytes: CountField, "its size as it is stored";
    sha256: OptionalTextField, "of the inflated bytes; NULL where they were not all read, or not asked for";
    first_event: OptionalTimeField, "the earliest time of its kept and duplicate records";
    last_event: OptionalTimeField, "the latest";
    error: OptionalTextField, "of a flagged object its flags, else the reason of the status; NULL when it is `read`";
}

table! {
    /// The columns of the table `quarantine`.
    QUARANTINE_COLUMNS QuarantineColumns QuarantineRows QuarantineRow QuarantineBuilder
    object_uri: TextField, "the object that the record stands in";
    byte_offset: CountField, "where it begins in the inflated bytes";
    length: CountField, "its length there";
    reason: WordField<FaultReason>, "see Reasons";
    raw: TextField, "its text, up to 64 KiB; empty where a run has more than 32 MiB of it";
}

table! {
    /// The columns of the hours of objects.
    HOUR_COLUMNS HourColumns HourRows HourRow HourBuilder
    object_uri: TextField, "the object";
    account_id: OptionalTextField, "the account that its records, or its name, are of";
    region: OptionalTextField, "their Region";
    hour: OptionalTimeField, "the begin of the hour; NULL of records without a time, or too far from their delivery";
    records: OptionalNumberField, "its kept records of that hour; NULL where nothing of it could be read";
    key_reads: CountField, "the records of KMS among them, kept and duplicate, that only read; 0 where they come from the event history, which tells nothing of a trail";
    faults: CountField, "1 where the object could not be used, or a record of it could not be read";
}

table! {
    /// The columns of what digests say.
    DIGEST_COLUMNS DigestColumns DigestRows DigestRow DigestBuilder
    object_uri: TextField, "the digest";
    account_id: OptionalTextField, "the account that it is of";
    region: OptionalTextField, "the Region";
    trail: OptionalTextField, "the name of the trail";
    started: OptionalTimeField, "the begin of the time that it tells of";
    ended: OptionalTimeField, "the first moment after";
    bucket: OptionalTextField, "the bucket that it says to lie in";
    object: OptionalTextField, "its key there";
    previous_bucket: OptionalTextField, "the bucket of the digest before it";
    previous_object: OptionalTextField, "its key there";
    previous_hash: OptionalTextField, "the SHA-256 of that digest";
    previous_signature: OptionalTextField, "its signature";
    logs: CountField, "the number of logs that it names";
    fault: OptionalTextField, "the reason that it says nothing";
    first_day: OptionalDayField, "the first day of delivery that was looked at when it was read; NULL where that was all";
    body: OptionalTextField, "its inflated text";
}

table! {
    /// The columns of the verdicts on objects.
    VERDICT_COLUMNS VerdictColumns VerdictRows VerdictRow VerdictBuilder
    object_uri: TextField, "the object";
    version: TextField, "the version of it that was proved";
    verdict: TextField, "the verdict";
    digest: OptionalTextField, "the digest that it rests on";
    batch: NumberField, "the batch that brought it; the last counts";
}

table! {
    /// The columns that the ledger of a store has beside those of `objects`.
    LEDGER_COLUMNS LedgerColumns LedgerRows LedgerRow LedgerBuilder
    version: TextField, "which version of the object was read: its ETag, its size and time, or a hash";
    batch: NumberField, "the batch that read it; `quarantine` has this column too";
    object_day: OptionalDayField, "the day that its name has: that of its delivery";
}

/// The two columns of an object's outcome.
#[derive(Debug, Clone, Copy)]
pub struct OutcomeColumns<'b> {
    status: WordColumn<'b, ObjectStatus>,
    error: &'b StringArray,
}

impl<'b> OutcomeColumns<'b> {
    /// Borrows the two columns of a batch. Fails as those of the table do.
    pub fn of(rows: &'b RecordBatch) -> Result<OutcomeColumns<'b>, ColumnError> {
        Ok(OutcomeColumns { status: OBJECT_COLUMNS.status.of(rows)?, error: OBJECT_COLUMNS.error.of(rows)? })
    }

    /// The outcome of a row. Fails where a word is not known.
    pub fn value(&self, row: usize) -> Result<ObjectOutcome, ColumnError> {
        let error = self.error.is_valid(row).then(|| self.error.value(row));
        ObjectOutcome::parse(self.status.value(row)?, error)
            .map_err(|source| ColumnError::Word { column: OBJECT_COLUMNS.error.name, source })
    }
}

impl ObjectRows<'_> {
    /// The outcome of a row. Fails where a word is not known.
    pub fn outcome(&self, row: usize) -> Result<ObjectOutcome, ColumnError> {
        OutcomeColumns { status: self.status, error: self.error }.value(row)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, TimeUnit};

    use super::super::counts::Counts;
    use super::*;

    /// As stores of the first format have them.
    #[test]
    fn the_columns_are_those_on_disk() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let named = |columns: &[(&str, DataType, bool)]| {
            let field = |(name, ty, is_nullable): &(&str, DataType, bool)| Field::new(*name, ty.clone(), *is_nullable);
            Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
        };
        let (text, int) = (DataType::Utf8, DataType::Int64);
        let objects = [
            ("uri", text.clone(), false),
            ("kind", text.clone(), false),
            ("status", text.clone(), false),
            ("records", int.clone(), false),
            ("kept", int.clone(), false),
            ("duplicate", int.clone(), false),
            ("filtered", int.clone(), false),
            ("quarantined", int.clone(), false),
            ("conflicts", int.clone(), false),
            ("bytes", int.clone(), false),
            ("sha256", text.clone(), true),
            ("first_event", time.clone(), true),
            ("last_event", time, true),
            ("error", text.clone(), true),
        ];
        assert_eq!(OBJECT_COLUMNS.schema(), named(&objects));
        let quarantine = [
            ("object_uri", text.clone(), false),
            ("byte_offset", int.clone(), false),
            ("length", int.clone(), false),
            ("reason", text.clone(), false),
            ("raw", text.clone(), false),
        ];
        assert_eq!(QUARANTINE_COLUMNS.schema(), named(&quarantine));
        let ledger = [("version", text, false), ("batch", int, false), ("object_day", DataType::Date32, true)];
        assert_eq!(LEDGER_COLUMNS.schema(), named(&ledger));
    }

    fn objects() -> RecordBatch {
        let mut rows = ObjectBuilder::default();
        for (uri, outcome) in [
            ("a", ObjectOutcome::Read),
            ("b", ObjectOutcome::Salvaged(FaultReason::GzipCrc)),
            ("c", ObjectOutcome::Missing),
        ] {
            rows.append(ObjectRow {
                uri,
                kind: outcome.kind(),
                status: outcome.status(),
                counts: Counts { records: 3, kept: 2, filtered: 1, ..Counts::default() },
                bytes: 7,
                sha256: None,
                first_event: Some(1),
                last_event: None,
                error: outcome.error().as_deref(),
            });
        }
        rows.finish()
    }

    fn with(rows: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
        let at = rows.schema().index_of(name).unwrap();
        let mut columns = rows.columns().to_vec();
        columns[at] = column;
        RecordBatch::try_new(rows.schema(), columns).unwrap()
    }

    #[test]
    fn rows_are_read_back_as_they_were_built() {
        let batch = objects();
        let rows = ObjectRows::of(&batch).unwrap();
        assert_eq!(rows.uri.iter().flatten().collect::<String>(), "abc");
        assert_eq!(rows.outcome(1), Ok(ObjectOutcome::Salvaged(FaultReason::GzipCrc)));
        assert_eq!((rows.counts.value(2).kept, rows.bytes.value(0)), (2, 7));
        assert!(rows.first_event.is_valid(0) && rows.last_event.is_null(0));
    }

    #[test]
    fn a_batch_that_lacks_something_is_a_named_error() {
        let batch = objects();
        let error = |rows: &RecordBatch| ObjectRows::of(rows).err().map(|error| error.to_string());
        let shorter = batch.project(&[0, 1]).unwrap();
        assert_eq!(error(&shorter).unwrap(), "there is no column `status`");
        assert_eq!(OBJECT_COLUMNS.uri.of(&shorter).unwrap().len(), 3);
        let negative = with(&batch, "kept", Arc::new(Int64Array::from(vec![1, -1, 1])));
        assert_eq!(error(&negative).unwrap(), "a number in the column `kept` is below 0");
        let renamed = Schema::new(vec![Field::new("uri", DataType::Int64, false)]);
        let renamed = RecordBatch::try_new(Arc::new(renamed), vec![Arc::new(Int64Array::from(vec![1]))]).unwrap();
        assert_eq!(error(&renamed).unwrap(), "the column `uri` is of the type Int64");
        let nulls = Schema::new(vec![Field::new("uri", DataType::Utf8, true)]);
        let nulls = RecordBatch::try_new(Arc::new(nulls), vec![Arc::new(StringArray::from(vec![None::<&str>]))]);
        assert_eq!(error(&nulls.unwrap()).unwrap(), "a row has no value in the column `uri`");
    }

    #[test]
    fn an_unknown_word_is_an_error_of_its_row() {
        let batch = objects();
        let column = |name: &str| batch[name].as_string::<i32>().iter().map(|text| text.map(str::to_owned));
        for (name, at) in [("status", 1), ("error", 1)] {
            let odd = column(name).enumerate().map(|(row, text)| if row == at { Some("odd".to_owned()) } else { text });
            let odd = with(&batch, name, Arc::new(odd.collect::<StringArray>()));
            let rows = ObjectRows::of(&odd).unwrap();
            assert!(rows.outcome(0).is_ok());
            let error = rows.outcome(at).unwrap_err().to_string();
            assert!(error.starts_with(&format!("in the column `{name}`, `odd` is no ")), "{error}");
        }
    }
}
