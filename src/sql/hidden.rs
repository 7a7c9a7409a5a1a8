//! The tables that only views may name: hours of objects, facts of digests, places that are expected, the narrowness of
//! the scope, and what rules need.
//! In: tables of logs or of a store. Out: the same under their names. Never shows one to a user's statement.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::datasource::MemTable;

use super::read_once::OBJECT_HOURS;
use super::rules::{RULE_NEEDS, needs_batch};
use crate::objects::HOUR_COLUMNS;
use crate::table::digest_facts_schema;

/// The table of what digests say.
const DIGEST_FACTS: &str = "digest_facts";
/// The table of accounts and Regions that are expected.
const EXPECTED_PLACES: &str = "expected_places";
/// The table that has a row, of no account and Region, where the scope leaves out accounts or Regions.
const NARROWED_SCOPE: &str = "narrowed_scope";

/// The tables of one session.
pub(super) struct HiddenTables {
    /// Over logs, a scan stands in for it.
    pub hours: Arc<dyn TableProvider>,
    pub digests: Arc<dyn TableProvider>,
    /// Accounts and Regions.
    pub expected: Vec<(String, String)>,
    /// True where the scope leaves out accounts or Regions.
    pub is_narrowed: bool,
    /// What each rule needs.
    pub rule_needs: RecordBatch,
}

impl HiddenTables {
    /// Tables without rows.
    pub fn empty() -> Result<HiddenTables> {
        let hours = MemTable::try_new(HOUR_COLUMNS.schema(), vec![vec![]])?;
        let digests = MemTable::try_new(digest_facts_schema(), vec![vec![]])?;
        Ok(HiddenTables {
            hours: Arc::new(hours),
            digests: Arc::new(digests),
            expected: Vec::new(),
            is_narrowed: false,
            rule_needs: needs_batch(&[], false)?,
        })
    }

    /// Each with the name by which views read it.
    pub fn named(self) -> Result<Vec<(&'static str, Arc<dyn TableProvider>)>> {
        let schema = ["account_id", "region"].map(|name| Field::new(name, DataType::Utf8, true)).to_vec();
        let schema = Arc::new(Schema::new(schema));
        let table = |accounts: StringArray, regions: StringArray| -> Result<Arc<dyn TableProvider>> {
            let columns: Vec<ArrayRef> = vec![Arc::new(accounts), Arc::new(regions)];
            let rows = RecordBatch::try_new(Arc::clone(&schema), columns)?;
            Ok(Arc::new(MemTable::try_new(Arc::clone(&schema), vec![vec![rows]])?))
        };
        let (accounts, regions): (Vec<String>, Vec<String>) = self.expected.into_iter().unzip();
        let expected = table(accounts.into(), regions.into())?;
        let nowhere = || StringArray::new_null(usize::from(self.is_narrowed));
        let narrowed = table(nowhere(), nowhere())?;
        let needs = MemTable::try_new(self.rule_needs.schema(), vec![vec![self.rule_needs]])?;
        Ok(vec![
            (RULE_NEEDS, Arc::new(needs)),
            (OBJECT_HOURS, self.hours),
            (DIGEST_FACTS, self.digests),
            (EXPECTED_PLACES, expected),
            (NARROWED_SCOPE, narrowed),
        ])
    }
}
