//! Reads one Parquet file through the object store: its columns as they are needed, or all its bytes at once.
//! In: a [`DataFile`]. Out: its metadata, and streams of its rows. Never decodes a column that was not asked for.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use deltalake::ObjectStore;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::data_file::DataFile;
use super::proved_tail::FileTail;

/// Bytes at the end of a file that are read at once, in the hope that its footer is among them.
const FOOTER_BYTES: usize = 64 << 10;

/// A file whose parts are fetched as they are needed.
pub(super) struct StoredFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    bytes: u64,
    tail: Option<FileTail>,
}

impl StoredFile {
    /// A file that the log names.
    pub fn new(store: &Arc<dyn ObjectStore>, file: &DataFile) -> StoredFile {
        StoredFile { tail: file.tail.clone(), ..StoredFile::at(store, &file.path, file.bytes) }
    }

    /// A file of so many bytes.
    pub fn at(store: &Arc<dyn ObjectStore>, path: &Path, bytes: u64) -> StoredFile {
        StoredFile { store: Arc::clone(store), path: path.clone(), bytes, tail: None }
    }

    /// Its footer.
    pub async fn metadata(&mut self) -> Result<Arc<ParquetMetaData>> {
        self.get_metadata(None).await
    }

    /// All its bytes, as many as there are.
    pub async fn whole(&self) -> object_store::Result<Bytes> {
        keytrail_limits::opened();
        self.store.get(&self.path).await?.bytes().await
    }

    /// Its rows, a batch at a time; all columns if none are named.
    pub async fn rows(self, columns: Option<&[&str]>, batch_rows: usize) -> Result<RowStream> {
        let mut builder = ParquetRecordBatchStreamBuilder::new(self).await?.with_batch_size(batch_rows);
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder = builder.with_projection(mask);
        }
        builder.build()
    }
}

pub(super) type RowStream = ParquetRecordBatchStream<StoredFile>;

impl AsyncFileReader for StoredFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        keytrail_limits::opened();
        let read = async move {
            match &self.tail {
                Some(tail) => tail.read(self.store.as_ref(), &self.path, range).await,
                None => self.store.get_range(&self.path, range).await,
            }
        };
        read.map_err(ParquetError::from).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        keytrail_limits::opened();
        async move { self.store.get_ranges(&self.path, &ranges).await }.map_err(ParquetError::from).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        let (bytes, options) = (self.bytes, options.map(|options| options.metadata_options().clone()));
        let reader = ParquetMetaDataReader::new().with_metadata_options(options).with_prefetch_hint(Some(FOOTER_BYTES));
        async move { Ok(Arc::new(reader.load_and_finish(self, bytes).await?)) }.boxed()
    }
}

/// A file whose bytes are all in memory.
pub(super) struct WholeFile {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
}

impl WholeFile {
    /// Reads the footer. Fails where there is none.
    pub fn open(bytes: Bytes) -> Result<WholeFile> {
        let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new())?;
        Ok(WholeFile { bytes, metadata })
    }

    /// The columns that it has, as Arrow has them.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// Its footer.
    pub fn metadata(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// Number of its rows, by its footer.
    pub fn rows(&self) -> usize {
        self.metadata.metadata().file_metadata().num_rows() as usize
    }

    /// Stored and inflated bytes of a column.
    pub fn column_bytes(&self, index: usize) -> (i64, i64) {
        let leaves = self.metadata.parquet_schema();
        let groups = self.metadata.metadata().row_groups().iter();
        let chunks = groups.flat_map(|group| group.columns().iter().enumerate());
        let own = chunks.filter(|(leaf, _)| leaves.get_column_root_idx(*leaf) == index);
        own.fold((0, 0), |(stored, inflated), (_, chunk)| {
            (stored + chunk.compressed_size(), inflated + chunk.uncompressed_size())
        })
    }

    /// Rows of some columns, by their numbers in the schema.
    pub fn read(&self, columns: &[usize], batch_rows: usize) -> Result<ParquetRecordBatchReader> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        builder.with_projection(mask).with_batch_size(batch_rows).build()
    }
}
