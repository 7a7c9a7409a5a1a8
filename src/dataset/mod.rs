//! Turns options into data to ask: an engine over the logs at some locations, or over a store.
//! In: locations, scope, filter, AWS options. Out: a [`Dataset`], a plan of a run, or an [`Intake`] into a store.
//! Never parses an argument, never prints, and never reads a record: it lists, and the engine reads for each question.

mod expected;
mod intake;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use tokio::runtime::Handle;
use tokio::task::JoinError;

use crate::normalize::EventFilter;
use crate::source::{self, AwsOptions, Listing, Location, Regions, RemoteAccess, Scope, SourceError, regions};
use crate::sql::did_you_mean::did_you_mean;
use crate::sql::findings_said::FindingsSaid;
use crate::sql::rules::FindingRule;
use crate::sql::state_answers::StateAnswer;
use crate::sql::{Engine, EngineOptions, SqlError, StoreContents};
use crate::store::{self, Store, StoreAccess, StoreError, StoreLocation};
use crate::table::{AcceptedObjects, IDENTITIES_MAX, LogTable, ScanOptions, ScanProgress};

pub use expected::{ExpectedInput, ExpectedPlace};
pub use intake::{Intake, IntakePlan, apart};

/// Bytes that the operators of a query may hold before they spill, folds of derived tables included, which cannot spill.
const MEMORY_BYTES_MAX: usize = 512 << 20;

/// The data that is meant, and the way to read it.
#[derive(Clone, Debug)]
pub struct DatasetOptions {
    pub locations: Vec<Location>,
    pub scope: Scope,
    /// The events to keep. `None` keeps those that concern keys, or those of a store.
    pub events: Option<EventFilter>,
    /// Also take the whole records of damaged objects.
    pub salvage: bool,
    /// Hash each file of a store whole before any part of it is read.
    pub verify_files: bool,
    /// Answers of AWS's own, as state.
    pub state_answers: Vec<StateAnswer>,
    /// The rules whose findings can be asked for.
    pub rules: Arc<[FindingRule]>,
    /// What teams have said of findings and of the use of keys.
    pub said: Arc<FindingsSaid>,
    pub aws: AwsOptions,
    /// The objects whose faults do not make a run incomplete.
    pub accepted: Arc<AcceptedObjects>,
    /// What must be among the input.
    pub expected: ExpectedInput,
    /// The time of the run, in microseconds since 1970.
    pub now_micros: i64,
    pub threads: usize,
    pub store_access: StoreAccess,
}

/// Hears the progress of a run, and notes for its user before something slow begins.
pub trait RunObserver: Send + Sync {
    /// Listing is done; this many stored bytes of logs may be read.
    fn listed(&self, bytes: u64);
    /// This many stored bytes have been read.
    fn read(&self, bytes: u64);
    fn note(&self, text: &str);
}

/// The reason that there is no data to ask.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    #[error("cannot read the logs")]
    Source(#[from] SourceError),
    #[error("cannot use the store")]
    StoreBucket { source: SourceError },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sql(#[from] SqlError),
    #[error("a store cannot be read together with other locations")]
    StoreAmongLocations,
    #[error("a store does not know organizations")]
    OrganizationOfStore,
    /// A store was asked for events that it left out.
    #[error("{source}")]
    LeftOut { source: StoreError },
    #[error("--verify-files hashes the files of a store, and this is none")]
    NoFilesToVerify,
    #[error("a dry run tells what reading logs takes, and this is a store")]
    PlanOfStore,
    #[error("`{location}` is a store, and `ingest` reads logs")]
    StoreAsLogs { location: String },
    #[error("a store in a bucket has no mode")]
    ModeOfBucket,
    #[error("`{store}` holds a store, and `{beside}` beside it: one name would stand for both")]
    StoreBesideOthers { store: String, beside: String },
    #[error("`{named}` cannot hold a store")]
    NoStoreThere { named: String },
    #[error("cannot ingest stdin: it has no name by which a store could know it again")]
    StdinIntoStore,
    #[error("the store `{store}` lies where AWS delivers logs")]
    StoreAmongDeliveries { store: String },
    #[error("the store `{store}` and the logs lie in one another")]
    StoreAmongLogs { store: String },
    #[error("the store `{store}` would lie in the store `{outer}`")]
    StoreInStore { store: String, outer: String },
    #[error("there is no Region `{region}`: this version knows none of that name, and no log here is of it")]
    NoRegion { region: String, hint: Option<String> },
    #[error("cannot list the locations: {source}")]
    Thread { source: JoinError },
}

impl DatasetError {
    /// True if the command line is at fault, not the world.
    pub fn is_usage(&self) -> bool {
        match self {
            DatasetError::Source(error) | DatasetError::StoreBucket { source: error } => error.is_usage(),
            DatasetError::Store(error) => error.is_usage(),
            DatasetError::Sql(error) => error.is_usage(),
            DatasetError::Thread { .. } => false,
            DatasetError::StoreAmongLocations
            | DatasetError::OrganizationOfStore
            | DatasetError::LeftOut { .. }
            | DatasetError::PlanOfStore
            | DatasetError::StoreAsLogs { .. }
            | DatasetError::ModeOfBucket
            | DatasetError::NoFilesToVerify
            | DatasetError::StoreBesideOthers { .. }
            | DatasetError::NoStoreThere { .. }
            | DatasetError::StdinIntoStore
            | DatasetError::StoreAmongDeliveries { .. }
            | DatasetError::StoreAmongLogs { .. }
            | DatasetError::StoreInStore { .. }
            | DatasetError::NoRegion { .. } => true,
        }
    }

    /// The cure that the user has, if it is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            DatasetError::Source(error) | DatasetError::StoreBucket { source: error } => error.hint(),
            DatasetError::Store(error) => error.hint(),
            DatasetError::Sql(error) => error.hint(),
            DatasetError::StoreAmongLocations => Some("`keytrail ingest` takes more locations into a store"),
            DatasetError::OrganizationOfStore => Some("leave --org-id out"),
            DatasetError::LeftOut { .. } => {
                Some("what was left out when the logs were read is not there: read the logs themselves")
            }
            DatasetError::PlanOfStore => Some("`keytrail store info STORE` tells what it holds"),
            DatasetError::StoreAsLogs { .. } => Some(
                "a store is read in place: name it where LOCATION stands for another verb; to have it elsewhere, copy it whole",
            ),
            DatasetError::ModeOfBucket => Some("the policy of the bucket says who may read it"),
            DatasetError::NoFilesToVerify => Some("leave it out: logs have no SHA-256 beside them"),
            DatasetError::StoreBesideOthers { .. } => {
                Some("name the folder of the logs, or give the store a directory of its own: who put it there?")
            }
            DatasetError::NoStoreThere { .. } => Some("name a directory or s3://BUCKET/PREFIX"),
            DatasetError::StdinIntoStore => Some("save it to a file first"),
            DatasetError::StoreAmongDeliveries { .. } => {
                Some("name a prefix without AWSLogs: whatever is below it is read as logs")
            }
            DatasetError::StoreAmongLogs { store } if store.starts_with("s3://") => Some(
                "give each a prefix of its own, such as s3://BUCKET/AWSLogs and s3://BUCKET/keytrail, or a bucket: a name \
                 stands for logs or for a store, with all that is below it",
            ),
            DatasetError::StoreAmongLogs { .. } => Some(
                "name a directory beside the logs: a name stands for logs or for a store, with all that is below it",
            ),
            DatasetError::StoreInStore { .. } => Some("name a directory or a prefix that is in no other store"),
            DatasetError::NoRegion { hint, .. } => hint.as_deref(),
            DatasetError::Thread { .. } => None,
        }
    }
}

/// Logs or a store, ready to be asked.
pub struct Dataset {
    pub engine: Engine,
    /// As it was resolved: half-open, in microseconds since 1970.
    pub scope: Scope,
}

/// The objects, bytes and requests of a run, known without reading.
pub use source::ReadPlan;

impl Dataset {
    /// Lists the locations, which can take a while on a large tree.
    ///
    /// # Errors
    /// Fails if a location cannot be listed at all, or if a store is not one or not alone. A fault inside a location is
    /// no error: the accounts of each answer count and name it.
    pub async fn open(options: DatasetOptions, observer: Arc<dyn RunObserver>) -> Result<Dataset, DatasetError> {
        let options = DatasetOptions { scope: within_reach(&options), ..options };
        if options.names_store_on_disk()? {
            return options.over_store().await;
        }
        let (options, listing) = options.list(&observer).await?;
        if options.names_store(&listing) {
            return options.over_store().await;
        }
        if options.verify_files {
            return Err(DatasetError::NoFilesToVerify);
        }
        options.over_logs(listing, &observer)
    }

    /// Plans a run without reading.
    ///
    /// # Errors
    /// As [`Dataset::open`], and if a location is a store.
    pub async fn plan(options: DatasetOptions, observer: Arc<dyn RunObserver>) -> Result<ReadPlan, DatasetError> {
        let options = DatasetOptions { scope: within_reach(&options), ..options };
        let remote = remote(&options, &observer);
        let (is_store, plan) = blocking(move || {
            let (listing, history) = source::list_for_plan(&options.locations, &options.scope, &remote)?;
            let is_store = options.names_store_on_disk()? || options.names_store(&listing);
            if !is_store {
                options.expect_regions(|text| any_place_contains(&listing, text))?;
            }
            Ok((is_store, ReadPlan::of(&listing, history)))
        })
        .await?;
        if is_store { Err(DatasetError::PlanOfStore) } else { Ok(plan) }
    }
}

impl DatasetOptions {
    async fn list(self, observer: &Arc<dyn RunObserver>) -> Result<(DatasetOptions, Arc<Listing>), DatasetError> {
        let remote = remote(&self, observer);
        blocking(move || {
            let listing = source::list(&self.locations, &self.scope, &remote)?;
            if !self.names_store(&listing) {
                self.expect_regions(|text| any_place_contains(&listing, text))?;
            }
            Ok((self, Arc::new(listing)))
        })
        .await
    }

    /// Refuses a Region that this version does not know, unless folders of logs or a location are named by it: then it is
    /// newer than this version. A slip would leave everything out.
    fn expect_regions(&self, is_in_place: impl Fn(&str) -> bool) -> Result<(), DatasetError> {
        let is_location = |region: &String| {
            self.locations
                .iter()
                .any(|location| matches!(location, Location::History(Regions::Named(named)) if named.contains(region)))
        };
        let is_missing = |region: &&String| {
            !regions::is_known(region) && !is_location(region) && !is_in_place(&format!("/{region}/"))
        };
        let expected = self.expected.places.iter().map(|place| &place.region);
        match self.scope.regions.iter().chain(expected).find(is_missing) {
            Some(region) => {
                Err(DatasetError::NoRegion { region: region.clone(), hint: did_you_mean(region, regions::known()) })
            }
            None => Ok(()),
        }
    }

    fn names_store_on_disk(&self) -> Result<bool, DatasetError> {
        Ok(self.store_on_disk()?.is_some())
    }

    /// The first location that is a store on this machine. Fails at a location that this user may not enter.
    fn store_on_disk(&self) -> Result<Option<&Path>, DatasetError> {
        for location in &self.locations {
            let Location::Path(path) = location else { continue };
            let unreachable = |source| SourceError::Unreachable { path: path.display().to_string(), source };
            if StoreLocation::holds_store(path).map_err(unreachable)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn names_store(&self, listing: &Listing) -> bool {
        self.store_in_bucket(listing).is_some()
    }

    /// The location whose listed objects are a store and not logs. Nobody keeps a store below the folder that AWS
    /// delivers to.
    fn store_in_bucket(&self, listing: &Listing) -> Option<String> {
        let mut tops: Vec<String> = self
            .locations
            .iter()
            .filter_map(|location| match location {
                Location::S3(path) if !path.prefix.split('/').any(|part| part == "AWSLogs") => Some(path.to_string()),
                _ => None,
            })
            .collect();
        let is_sign = |top: &str, index| StoreLocation::is_sign_of_store(&listing.uri(index), top);
        let at = tops.iter().position(|top| (0..listing.len()).any(|index| is_sign(top, index)))?;
        Some(tops.swap_remove(at))
    }

    async fn over_store(self) -> Result<Dataset, DatasetError> {
        let place = match self.locations.as_slice() {
            [Location::Path(path)] => {
                expect_nothing_beside(path)?;
                StoreLocation::local_with(path, self.store_access)?
            }
            [Location::S3(path)] => store_place(&path.to_string(), &self.aws, self.store_access).await?,
            _ => return Err(DatasetError::StoreAmongLocations),
        };
        if !self.scope.org_ids.is_empty() {
            return Err(DatasetError::OrganizationOfStore);
        }
        let mut store = Store::open(place).await?;
        let asked = self.events.unwrap_or(store.filter());
        if asked == EventFilter::All {
            store.expect_filter(asked).map_err(|source| DatasetError::LeftOut { source })?;
        }
        let snapshot = store.snapshot().await?;
        let snapshot = if self.verify_files { snapshot.hashing_files()? } else { snapshot };
        let objects = snapshot.objects().await?;
        self.expect_regions(|text| any_uri_contains(&objects, text))?;
        let stored = StoreContents {
            events: store::events(&snapshot, &self.scope, asked).map_err(SqlError::from)?,
            state_events: store::state_events(&snapshot, &self.scope, asked).map_err(SqlError::from)?,
            objects,
            quarantine: snapshot.quarantine().await?,
            hours: store::hours(&snapshot, &self.scope).map_err(SqlError::from)?,
            digests: store::digest_facts(&snapshot, &self.scope).map_err(SqlError::from)?,
            older_rows: snapshot.older_rows(&self.scope),
            objects_without_hours: snapshot.objects_without_hours().await?,
            untimed_max: snapshot.files.iter().map(|file| file.untimed).fold(0, u64::saturating_add),
            scope: self.scope.clone(),
            accepted: Arc::clone(&self.accepted),
            unplaced_max: snapshot.files.iter().map(store::DataFile::unplaced_max).fold(0, u64::saturating_add),
            files: (store::FILES_URL, Arc::clone(&snapshot.object_store)),
        };
        let engine = Engine::over_store(stored, engine_options(&self, asked)).await?;
        Ok(Dataset { engine, scope: self.scope })
    }

    fn over_logs(self, listing: Arc<Listing>, observer: &Arc<dyn RunObserver>) -> Result<Dataset, DatasetError> {
        observer.listed(listing.total_bytes());
        let filter = self.events.unwrap_or(EventFilter::KeyUse);
        let options = scan_options(&self, filter, self.scope.clone(), observer);
        let engine = Engine::over_logs(LogTable::new(listing, options), engine_options(&self, filter))?;
        Ok(Dataset { engine, scope: self.scope })
    }
}

/// Refuses the folder of a store that holds other folders or logs too: the store would hide them.
fn expect_nothing_beside(folder: &Path) -> Result<(), DatasetError> {
    let unreachable = |source| SourceError::Unreachable { path: folder.display().to_string(), source };
    for entry in fs::read_dir(folder).map_err(unreachable)? {
        let entry = entry.map_err(unreachable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.path().is_dir();
        // The root of a disk may have its folder of what was found after a crash.
        let is_beside = if is_folder {
            !store::is_folder_of_store(&name) && !name.starts_with('.') && name != "lost+found"
        } else {
            source::promises_log(&name)
        };
        if is_beside {
            return Err(DatasetError::StoreBesideOthers { store: folder.display().to_string(), beside: name });
        }
    }
    Ok(())
}

/// True where a listed object lies at a place with this text in it.
fn any_place_contains(listing: &Listing, text: &str) -> bool {
    (0..listing.len()).any(|index| listing.uri(index).contains(text))
}

/// True where an object of a store lies at a place with this text in it.
fn any_uri_contains(objects: &[RecordBatch], text: &str) -> bool {
    let uris = objects.iter().filter_map(|rows| rows.column_by_name("uri"));
    uris.filter_map(|column| column.as_string_opt::<i32>())
        .any(|uris| uris.iter().flatten().any(|uri| uri.contains(text)))
}

fn scan_options(
    options: &DatasetOptions,
    filter: EventFilter,
    scope: Scope,
    observer: &Arc<dyn RunObserver>,
) -> ScanOptions {
    let observer = Arc::clone(observer);
    ScanOptions {
        filter,
        scope,
        threads: options.threads,
        salvage: options.salvage,
        identities_max: IDENTITIES_MAX,
        accepted: Arc::clone(&options.accepted),
        progress: Arc::new(move |p: ScanProgress| observer.read(p.bytes)),
    }
}

fn engine_options(options: &DatasetOptions, filter: EventFilter) -> EngineOptions {
    let expected = options.expected.places.iter().map(|place| (place.account.clone(), place.region.clone())).collect();
    EngineOptions {
        threads: options.threads,
        // The rest is for what reads the logs, and for rows on their way out.
        memory_bytes_max: MEMORY_BYTES_MAX.min(keytrail_limits::allowed() / 2),
        expected,
        state_answers: options.state_answers.clone(),
        has_all_events: filter == EventFilter::All,
        rules: Arc::clone(&options.rules),
        said: Arc::clone(&options.said),
    }
}

/// The scope. If only event histories are asked it begins with them, since no answer can reach further back.
fn within_reach(options: &DatasetOptions) -> Scope {
    let (scope, begin) = (options.scope.clone(), source::history_begin(options.now_micros));
    let is_history = |location: &Location| matches!(location, Location::History(_));
    if !options.locations.iter().all(is_history) || scope.until.is_some_and(|until| until <= begin) {
        return scope;
    }
    Scope { since: scope.since.max(Some(begin)), ..scope }
}

/// The access of the sources to other machines.
fn remote(options: &DatasetOptions, observer: &Arc<dyn RunObserver>) -> RemoteAccess {
    let observer = Arc::clone(observer);
    RemoteAccess {
        aws: options.aws.clone(),
        handle: Handle::current(),
        now_micros: options.now_micros,
        covered: HashMap::new(),
        note: Arc::new(move |text| observer.note(&text)),
    }
}

/// The place of a store: a directory, or `s3://BUCKET/PREFIX`.
///
/// # Errors
/// Fails if `named` is no such place, or its bucket cannot be reached.
pub async fn store_place(named: &str, aws: &AwsOptions, access: StoreAccess) -> Result<StoreLocation, DatasetError> {
    match Location::parse(named)? {
        Location::Path(path) => Ok(StoreLocation::local_with(&path, access)?),
        Location::S3(_) if access.mode.is_some() => Err(DatasetError::ModeOfBucket),
        Location::S3(_) => {
            let connected = source::connect_store(named, aws).await;
            let connected = connected.map_err(|source| DatasetError::StoreBucket { source })?;
            Ok(StoreLocation::at_root(connected, named)?)
        }
        Location::Stdin | Location::History(_) => Err(DatasetError::NoStoreThere { named: named.to_owned() }),
    }
}

/// Runs work that waits for disks and networks on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DatasetError> + Send + 'static,
) -> Result<T, DatasetError> {
    tokio::task::spawn_blocking(work).await.map_err(|source| DatasetError::Thread { source })?
}
