//! Rows as Parquet (zstd) or as an Arrow IPC file (Feather 2).

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::Sink;

pub struct ParquetSink<W: Write + Send> {
    to: Option<ArrowWriter<W>>,
    schema: SchemaRef,
}

impl<W: Write + Send> ParquetSink<W> {
    pub fn new(to: W, names: &[String], schema: &Schema) -> io::Result<ParquetSink<W>> {
        let schema = renamed(names, schema);
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
        let writer = ArrowWriter::try_new(to, schema.clone(), Some(properties)).map_err(from_parquet)?;
        Ok(ParquetSink { to: Some(writer), schema })
    }
}

impl<W: Write + Send> Sink for ParquetSink<W> {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let batch = under(&self.schema, batch).map_err(from_arrow)?;
        let writer = self.to.as_mut().ok_or_else(|| io::Error::other("the Parquet file is closed"))?;
        writer.write(&batch).map_err(from_parquet)
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.to.take() {
            Some(writer) => writer.into_inner().map_err(from_parquet)?.flush(),
            None => Ok(()),
        }
    }
}

pub struct ArrowSink<W: Write> {
    to: FileWriter<W>,
    schema: SchemaRef,
}

impl<W: Write> ArrowSink<W> {
    pub fn new(to: W, names: &[String], schema: &Schema) -> io::Result<ArrowSink<W>> {
        let schema = renamed(names, schema);
        Ok(ArrowSink { to: FileWriter::try_new(to, &schema).map_err(from_arrow)?, schema })
    }
}

impl<W: Write> Sink for ArrowSink<W> {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let batch = under(&self.schema, batch).map_err(from_arrow)?;
        self.to.write(&batch).map_err(from_arrow)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.to.finish().map_err(from_arrow)?;
        self.to.get_mut().flush()
    }
}

/// The same columns under distinct names. The plan promises "not NULL" only for its own use, so in a file every
/// column may be NULL.
fn renamed(names: &[String], schema: &Schema) -> SchemaRef {
    let fields =
        names.iter().zip(schema.fields()).map(|(name, field)| Field::new(name, field.data_type().clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn under(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options)
}

/// Keeps the kind of an IO error, since a closed pipe is recognized by it.
fn from_arrow(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, cause) => cause,
        other => io::Error::other(other),
    }
}

fn from_parquet(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => *cause,
            Err(cause) => io::Error::other(cause),
        },
        other => io::Error::other(other),
    }
}
