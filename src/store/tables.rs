//! The tables of a store together, each at its version at the last look.
//! In: the place of the store. Out: its tables by their [`TableId`], looked at in the order in which a batch is
//! written, so that a later one may only be ahead.
//! Never defines a batch, and never commits.

use std::ops::{Index, IndexMut};

use super::delta::StoreTable;
use super::location::StoreLocation;
use super::table_id::TableId;
use super::{StoreError, format_of};

/// All tables of a store.
#[derive(Clone)]
pub(super) struct StoreTables {
    events: StoreTable,
    objects: StoreTable,
    quarantine: StoreTable,
    /// `None` in the first format.
    beside: Option<TablesBeside>,
}

/// The tables that came with format 2.
#[derive(Clone)]
struct TablesBeside {
    hours: StoreTable,
    digests: StoreTable,
    verdicts: StoreTable,
}

/// A store that has lost a table is damaged, not absent.
fn gone(location: &StoreLocation, id: TableId) -> StoreError {
    let what = format!("its `{}` are gone", id.name());
    StoreError::Damaged { path: location.shown.clone(), what }
}

async fn opened(location: &StoreLocation, id: TableId) -> Result<StoreTable, StoreError> {
    StoreTable::open(location, id).await?.ok_or_else(|| gone(location, id))
}

impl TablesBeside {
    async fn open(location: &StoreLocation) -> Result<TablesBeside, StoreError> {
        Ok(TablesBeside {
            hours: opened(location, TableId::Hours).await?,
            digests: opened(location, TableId::Digests).await?,
            verdicts: opened(location, TableId::Verdicts).await?,
        })
    }

    async fn refresh(&mut self) -> Result<(), StoreError> {
        self.hours.refresh().await?;
        self.digests.refresh().await?;
        self.verdicts.refresh().await
    }
}

impl StoreTables {
    /// Opens the tables that the format of the store has.
    pub async fn open(location: &StoreLocation) -> Result<StoreTables, StoreError> {
        let Some(events) = StoreTable::open(location, TableId::Events).await? else {
            // They are made last, and may have been just now.
            let has_batches = match StoreTable::open(location, TableId::Objects).await? {
                Some(ledger) => ledger.batch() > 0,
                None => false,
            };
            let is_lost = has_batches && StoreTable::open(location, TableId::Events).await?.is_none();
            let absent = || StoreError::Absent { path: location.shown.clone() };
            return Err(if is_lost { gone(location, TableId::Events) } else { absent() });
        };
        let objects = opened(location, TableId::Objects).await?;
        let quarantine = opened(location, TableId::Quarantine).await?;
        let beside = match format_of(location, &events)? {
            1 => None,
            _ => Some(TablesBeside::open(location).await?),
        };
        Ok(StoreTables { events, objects, quarantine, beside })
    }

    /// Looks at all of them again.
    pub async fn refresh(&mut self, location: &StoreLocation) -> Result<(), StoreError> {
        self.events.refresh().await?;
        self.objects.refresh().await?;
        self.quarantine.refresh().await?;
        match &mut self.beside {
            Some(beside) => beside.refresh().await,
            // Another writer may have brought the store to the next format.
            None if format_of(location, &self.events)? > 1 => {
                self.beside = Some(TablesBeside::open(location).await?);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A table, if the format of the store has it.
    pub fn get(&self, id: TableId) -> Option<&StoreTable> {
        match (id, &self.beside) {
            (TableId::Events, _) => Some(&self.events),
            (TableId::Objects, _) => Some(&self.objects),
            (TableId::Quarantine, _) => Some(&self.quarantine),
            (TableId::Hours, Some(beside)) => Some(&beside.hours),
            (TableId::Digests, Some(beside)) => Some(&beside.digests),
            (TableId::Verdicts, Some(beside)) => Some(&beside.verdicts),
            (TableId::Hours | TableId::Digests | TableId::Verdicts, None) => None,
        }
    }

    fn get_mut(&mut self, id: TableId) -> Option<&mut StoreTable> {
        match (id, &mut self.beside) {
            (TableId::Events, _) => Some(&mut self.events),
            (TableId::Objects, _) => Some(&mut self.objects),
            (TableId::Quarantine, _) => Some(&mut self.quarantine),
            (TableId::Hours, Some(beside)) => Some(&mut beside.hours),
            (TableId::Digests, Some(beside)) => Some(&mut beside.digests),
            (TableId::Verdicts, Some(beside)) => Some(&mut beside.verdicts),
            (TableId::Hours | TableId::Digests | TableId::Verdicts, None) => None,
        }
    }

    /// The tables that the store has, events first.
    pub fn present(&self) -> impl Iterator<Item = TableId> + '_ {
        TableId::ALL.into_iter().filter(|id| self.get(*id).is_some())
    }

    /// Number of their files together.
    pub fn file_count(&self) -> Result<u64, StoreError> {
        self.present().try_fold(0, |count, id| Ok(count + self[id].files()?.len() as u64))
    }
}

impl Index<TableId> for StoreTables {
    type Output = StoreTable;

    fn index(&self, id: TableId) -> &StoreTable {
        self.get(id).expect("a table of format 2 is named only where the store has it")
    }
}

impl IndexMut<TableId> for StoreTables {
    fn index_mut(&mut self, id: TableId) -> &mut StoreTable {
        self.get_mut(id).expect("a table of format 2 is named only where the store has it")
    }
}
