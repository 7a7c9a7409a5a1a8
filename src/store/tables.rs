//! The tables of a store together, each at the version that it had when it was last looked at.
//! In: where the store lies. Out: its tables by their [`TableId`], looked at in the order in which a batch is written,
//! so that what is looked at later only knows more.
//! Never says what a batch is, and never commits.

use std::ops::{Index, IndexMut};

use super::StoreError;
use super::delta::Table;
use super::location::StoreLocation;
use super::table_id::TableId;

/// All tables of a store.
#[derive(Clone)]
pub(super) struct Tables {
    events: Table,
    objects: Table,
    quarantine: Table,
}

impl Tables {
    /// Opens what is there; a store that has lost one of its tables is damaged, not absent.
    pub async fn open(location: &StoreLocation) -> Result<Tables, StoreError> {
        let gone = |id: TableId| {
            let what = format!("its `{}` are gone", id.name());
            StoreError::Damaged { path: location.shown.clone(), what }
        };
        let Some(events) = Table::open(location, TableId::Events).await? else {
            // They are made last, and may have been just now.
            let has_batches = match Table::open(location, TableId::Objects).await? {
                Some(ledger) => ledger.batch().await? > 0,
                None => false,
            };
            let is_lost = has_batches && Table::open(location, TableId::Events).await?.is_none();
            let absent = || StoreError::Absent { path: location.shown.clone() };
            return Err(if is_lost { gone(TableId::Events) } else { absent() });
        };
        let objects = Table::open(location, TableId::Objects).await?.ok_or_else(|| gone(TableId::Objects))?;
        let quarantine = Table::open(location, TableId::Quarantine).await?.ok_or_else(|| gone(TableId::Quarantine))?;
        Ok(Tables { events, objects, quarantine })
    }

    /// Looks at all of them again.
    pub async fn refresh(&mut self) -> Result<(), StoreError> {
        self.events.refresh().await?;
        self.objects.refresh().await?;
        self.quarantine.refresh().await
    }

    /// How many files they have together.
    pub fn file_count(&self) -> Result<u64, StoreError> {
        TableId::ALL.iter().try_fold(0, |count, id| Ok(count + self[*id].files()?.len() as u64))
    }
}

impl Index<TableId> for Tables {
    type Output = Table;

    fn index(&self, id: TableId) -> &Table {
        match id {
            TableId::Events => &self.events,
            TableId::Objects => &self.objects,
            TableId::Quarantine => &self.quarantine,
        }
    }
}

impl IndexMut<TableId> for Tables {
    fn index_mut(&mut self, id: TableId) -> &mut Table {
        match id {
            TableId::Events => &mut self.events,
            TableId::Objects => &mut self.objects,
            TableId::Quarantine => &mut self.quarantine,
        }
    }
}
