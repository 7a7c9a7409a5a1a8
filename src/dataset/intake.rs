//! The way of logs into a store.
//! In: locations and a store. Out: the plan of a run, or the accounts of the objects it read.
//! Never takes logs and a store that lie in one another, and never reads an object again whose version the store has.

use std::collections::HashMap;
use std::fs;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use super::{
    DatasetError, DatasetOptions, RunObserver, any_place_contains, blocking, remote, scan_options, store_place,
    within_reach,
};
use crate::source::{self, AwsOptions, Listing, Location, PrunedCounts, ReadCost, Scope};
use crate::store::{self, IngestOptions, IngestOutcome, IngestPlan, Store, StoreAccess, StoreError, StoreLocation};
use crate::time::day_of;

/// Logs that are listed, and the store that they go to.
pub struct Intake {
    listing: Arc<Listing>,
    /// A sentence about the event history, of a plan.
    history: Option<String>,
    options: DatasetOptions,
    place: StoreLocation,
    pace: IngestOptions,
}

/// The objects and bytes that a run into a store would read.
pub struct IntakePlan {
    pub store: IngestPlan,
    pub batches: u64,
    pub pruned: PrunedCounts,
    pub cost: ReadCost,
}

impl Intake {
    /// Lists the locations, with the event history that the store does not have yet.
    ///
    /// # Errors
    /// Fails if a location cannot be listed at all, if logs and store lie in one another, or if the store is damaged.
    pub async fn list(
        options: DatasetOptions,
        store: &str,
        pace: IngestOptions,
        observer: &Arc<dyn RunObserver>,
    ) -> Result<Intake, DatasetError> {
        let (options, place) = prepared(options, store).await?;
        let mut remote = remote(&options, observer);
        if options.locations.iter().any(|location| matches!(location, Location::History(_))) {
            remote.covered = ends_of_history(&place).await?;
        }
        let (options, listing) = blocking(move || {
            let listing = source::list(&options.locations, &options.scope, &remote)?;
            options.expect_logs(&listing)?;
            options.expect_regions(|text| any_place_contains(&listing, text))?;
            Ok((options, Arc::new(listing)))
        })
        .await?;
        Ok(Intake { listing, history: None, options, place, pace })
    }

    /// Plans a run: the objects to read, and their cost.
    ///
    /// # Errors
    /// As [`Intake::list`], and if the store keeps another choice of events than the one asked for.
    pub async fn plan(
        options: DatasetOptions,
        store: &str,
        pace: IngestOptions,
        observer: &Arc<dyn RunObserver>,
    ) -> Result<IntakePlan, DatasetError> {
        let (options, place) = prepared(options, store).await?;
        let remote = remote(&options, observer);
        let (options, listing, history) = blocking(move || {
            let (listing, history) = source::list_for_plan(&options.locations, &options.scope, &remote)?;
            options.expect_logs(&listing)?;
            options.expect_regions(|text| any_place_contains(&listing, text))?;
            Ok((options, Arc::new(listing), history))
        })
        .await?;
        Intake { listing, history, options, place, pace }.planned().await
    }

    async fn planned(self) -> Result<IntakePlan, DatasetError> {
        let store = match Store::open(self.place).await {
            Ok(store) => Some(store),
            Err(StoreError::Absent { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if let (Some(store), Some(filter)) = (&store, self.options.events) {
            store.expect_filter(filter)?;
        }
        let plan = store::plan(store.as_ref(), &self.listing, self.options.paced(self.pace)).await?;
        let cost = ReadCost {
            list_requests: self.listing.requests(),
            get_requests: plan.get_requests,
            bytes: plan.bytes,
            history: self.history,
        };
        let batches = plan.batch_count(&self.listing, self.pace.batch_bytes_max);
        Ok(IntakePlan { store: plan, batches, pruned: *self.listing.pruned(), cost })
    }

    /// The scope by which the folders were chosen.
    pub fn scope(&self) -> &Scope {
        &self.options.scope
    }

    /// Reads the new objects, batch by batch. Makes the store if there is none.
    ///
    /// # Errors
    /// Fails if the store cannot be used or written; it stays at its last commit.
    pub async fn run(self, observer: &Arc<dyn RunObserver>) -> Result<IngestOutcome, DatasetError> {
        let pace = self.options.paced(self.pace);
        self.place.take_mode()?;
        let mut store = Store::open_or_create(self.place, self.options.events).await?;
        observer.listed(self.listing.total_bytes());
        // The ledger counts an object as read, so none of its records may be left out.
        let options = scan_options(&self.options, store.filter(), Scope::default(), observer);
        Ok(store::ingest(&mut store, self.listing, options, pace).await?)
    }
}

impl DatasetOptions {
    /// Refuses a location in a bucket that is a store.
    fn expect_logs(&self, listing: &Listing) -> Result<(), DatasetError> {
        self.store_in_bucket(listing).map_or(Ok(()), |location| Err(DatasetError::StoreAsLogs { location }))
    }

    /// The pace of a run over the folders of the scope.
    fn paced(&self, pace: IngestOptions) -> IngestOptions {
        let first_day = self.scope.since.and_then(|since| i32::try_from(day_of(since)).ok());
        IngestOptions { first_day, ..pace }
    }
}

/// The options with whole paths and a scope within reach, and the place of the store.
async fn prepared(options: DatasetOptions, store: &str) -> Result<(DatasetOptions, StoreLocation), DatasetError> {
    let (locations, named) = apart(options.locations.clone(), store)?;
    expect_outside_stores(&named, store, &options.aws).await?;
    let options = DatasetOptions { locations, ..options };
    let options = DatasetOptions { scope: within_reach(&options), ..options };
    if let Some(path) = options.store_on_disk()? {
        return Err(DatasetError::StoreAsLogs { location: path.display().to_string() });
    }
    let place = store_place(store, &options.aws, options.store_access).await?;
    Ok((options, place))
}

/// The ends of the event histories that a store has; none if there is no store yet.
async fn ends_of_history(place: &StoreLocation) -> Result<HashMap<String, String>, DatasetError> {
    match Store::open(place.clone()).await {
        Ok(store) => Ok(store::ends_of_history(&store).await?),
        Err(StoreError::Absent { .. }) => Ok(HashMap::new()),
        Err(error) => Err(error.into()),
    }
}

/// The locations, by their whole paths, and the store, checked to lie apart from each other.
///
/// # Errors
/// Fails if one would be read or written as part of the other, or if a location is stdin.
pub fn apart(locations: Vec<Location>, store: &str) -> Result<(Vec<Location>, Location), DatasetError> {
    let locations: Vec<Location> = locations.into_iter().map(in_full).collect();
    if locations.contains(&Location::Stdin) {
        return Err(DatasetError::StdinIntoStore);
    }
    let place = Location::parse(store)?;
    if let Location::S3(path) = &place
        && path.prefix.split('/').any(|part| part == "AWSLogs")
    {
        return Err(DatasetError::StoreAmongDeliveries { store: store.to_owned() });
    }
    if locations.iter().any(|logs| lie_together(logs, &place)) {
        return Err(DatasetError::StoreAmongLogs { store: store.to_owned() });
    }
    Ok((locations, place))
}

/// Refuses a store that would lie in the folders of another, whose `gc` and whose readers take these for their own. In a
/// bucket that is asked only where a name is one of a table.
async fn expect_outside_stores(place: &Location, named: &str, aws: &AwsOptions) -> Result<(), DatasetError> {
    let outer = match place {
        Location::Path(path) => {
            let real = real_path(path);
            // What may not be looked at may be one.
            let is_store = |above: &&Path| StoreLocation::holds_store(above).unwrap_or(true);
            let outer = real.ancestors().skip(1).find(is_store);
            outer.map(|outer| outer.to_string_lossy().into_owned())
        }
        Location::S3(path) => {
            let parts: Vec<&str> = path.prefix.split('/').filter(|part| !part.is_empty()).collect();
            let mut found = None;
            for (at, _) in parts.iter().enumerate().filter(|(_, part)| store::is_folder_of_store(part)) {
                let above = format!("s3://{}/{}", path.bucket, parts[..at].join("/"));
                if store_place(&above, aws, StoreAccess::default()).await?.is_store().await {
                    found = Some(above);
                }
            }
            found
        }
        Location::Stdin | Location::History(_) => None,
    };
    match outer {
        Some(outer) => Err(DatasetError::StoreInStore { store: named.to_owned(), outer }),
        None => Ok(()),
    }
}

/// True if one of two places would be read or written as part of the other.
fn lie_together(logs: &Location, store: &Location) -> bool {
    match (logs, store) {
        (Location::Path(logs), Location::Path(store)) => {
            let store = real_path(store);
            store.starts_with(logs) || logs.starts_with(store)
        }
        // A bucket often holds both, each under its own prefix.
        (Location::S3(logs), Location::S3(store)) => logs.holds(store) || store.holds(logs),
        _ => false,
    }
}

/// The ledger names objects by their whole path, so that a run may start in any folder.
fn in_full(location: Location) -> Location {
    match location {
        Location::Path(path) => Location::Path(fs::canonicalize(&path).unwrap_or(path)),
        other => other,
    }
}

/// Resolves links as far as the path exists; the rest may be about to be made.
fn real_path(path: &Path) -> PathBuf {
    let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors()
        .find_map(|there| Some(fs::canonicalize(there).ok()?.join(path.strip_prefix(there).ok()?)))
        .unwrap_or_else(|| path.clone())
}
