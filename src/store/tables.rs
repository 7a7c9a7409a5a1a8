//! The tables of a store together, each at its version at the last look.
//! In: the place of the store. Out: its tables by their [`TableId`], looked at in the order in which a batch is
//! written, so that a later one may only be ahead.
//! Never defines a batch, and never commits.

use std::ops::{Index, IndexMut};

use super::StoreError;
use super::delta::StoreTable;
use super::location::StoreLocation;
use super::table_id::TableId;

/// All tables of a store.
#[derive(Clone)]
pub(super) struct StoreTables {
    events: StoreTable,
    objects: StoreTable,
    quarantine: StoreTable,
}

impl StoreTables {
    /// Opens the tables; a store that has lost one of them is damaged, not absent.
    pub async fn open(location: &StoreLocation) -> Result<StoreTables, StoreError> {
        let gone = |id: TableId| {
            let what = format!("its `{}` are gone", id.name());
            StoreError::Damaged { path: location.shown.clone(), what }
        };
        let Some(events) = StoreTable::open(location, TableId::Events).await? else {
            // They are made last, and may have been just now.
            let has_batches = match StoreTable::open(location, TableId::Objects).await? {
                Some(ledger) => ledger.batch().await? > 0,
                None => false,
            };
            let is_lost = has_batches && StoreTable::open(location, TableId::Events).await?.is_none();
            let absent = || StoreError::Absent { path: location.shown.clone() };
            return Err(if is_lost { gone(TableId::Events) } else { absent() });
        };
        let objects = StoreTable::open(location, TableId::Objects).await?.ok_or_else(|| gone(TableId::Objects))?;
        let quarantine =
            StoreTable::open(location, TableId::Quarantine).await?.ok_or_else(|| gone(TableId::Quarantine))?;
        Ok(StoreTables { events, objects, quarantine })
    }

    /// Looks at all of them again.
    pub async fn refresh(&mut self) -> Result<(), StoreError> {
        self.events.refresh().await?;
        self.objects.refresh().await?;
        self.quarantine.refresh().await
    }

    /// Number of their files together.
    pub fn file_count(&self) -> Result<u64, StoreError> {
        TableId::ALL.iter().try_fold(0, |count, id| Ok(count + self[*id].files()?.len() as u64))
    }
}

impl Index<TableId> for StoreTables {
    type Output = StoreTable;

    fn index(&self, id: TableId) -> &StoreTable {
        match id {
            TableId::Events => &self.events,
            TableId::Objects => &self.objects,
            TableId::Quarantine => &self.quarantine,
        }
    }
}

impl IndexMut<TableId> for StoreTables {
    fn index_mut(&mut self, id: TableId) -> &mut StoreTable {
        match id {
            TableId::Events => &mut self.events,
            TableId::Objects => &mut self.objects,
            TableId::Quarantine => &mut self.quarantine,
        }
    }
}
