//! The accounts, Regions and times that a store has within a scope.
//! In: rows of the section `seen`, and the objects that were read into the store. Out: a [`SeenInput`], the same that a scan
//! of the logs within the scope would find. Never judges what is missing.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::DataFusionError;

use crate::objects::Delivery;
use crate::source::Scope;
use crate::table::{SeenInput, SeenPlace};
use crate::time::MICROS_PER_DAY;

/// The objects that were read, whole or flagged.
pub const OBJECTS_SQL: &str = "SELECT uri FROM objects WHERE status IN ('read', 'flagged')";

/// Puts both together.
pub fn seen(events: &RecordBatch, objects: &RecordBatch, scope: &Scope) -> Result<SeenInput, DataFusionError> {
    let mut seen = SeenInput::default();
    let text = |column: usize| events.column(column).as_string_opt::<i32>().ok_or_else(other_type);
    let time =
        |column: usize| events.column(column).as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(other_type);
    let (accounts, regions, firsts, lasts) = (text(0)?, text(1)?, time(2)?, time(3)?);
    for row in 0..events.num_rows() {
        let (account, region) =
            (accounts.is_valid(row).then(|| accounts.value(row)), regions.is_valid(row).then(|| regions.value(row)));
        let span = firsts.is_valid(row).then(|| (firsts.value(row), lasts.value(row)));
        seen.see_rows(SeenPlace::new(account, region), span);
    }
    let uris = objects.column(0).as_string_opt::<i32>().ok_or_else(other_type)?;
    uris.iter().flatten().filter_map(Delivery::of).filter(|delivery| in_scope(delivery, scope)).for_each(|delivery| {
        seen.see_delivery(&delivery);
    });
    Ok(seen)
}

fn other_type() -> DataFusionError {
    DataFusionError::Internal("the store's events have other types than theirs".to_owned())
}

/// True of a delivery that a reader of the logs within the scope would have opened.
fn in_scope(delivery: &Delivery<'_>, scope: &Scope) -> bool {
    let listed = |list: &[String], value: &str| list.is_empty() || list.iter().any(|item| item == value);
    let late = i64::from(scope.late_days) * MICROS_PER_DAY;
    listed(&scope.accounts, delivery.account)
        && listed(&scope.regions, delivery.region)
        && scope.since.is_none_or(|since| delivery.micros >= since)
        && scope.until.is_none_or(|until| delivery.micros < until.saturating_add(late))
}
