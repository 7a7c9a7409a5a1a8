//! Renders the documentation of the tables `objects` and `quarantine`.
//! In: nothing. Out: Markdown. Never states a rule of its own: each comes from the declared columns and words.

use std::fmt::Write;

use super::fields::TableColumn;
use super::tables::{LEDGER_COLUMNS, OBJECT_COLUMNS, QUARANTINE_COLUMNS};
use super::words::{FaultReason, ObjectChange, ObjectFlag, ObjectKind, ObjectStatus, SkipReason, Word};

const OBJECTS: &str = "## objects

One row per object that was listed. For each, `records = kept + duplicate + filtered + quarantined`.

";

const LEDGER: &str = "
In the files of a store the table has three more columns, which keytrail's own `objects` leaves out:

";

const ERRORS: &str = "
### What `error` says

Flags of a `flagged` object, joined by commas. It was read whole.

";

const SKIPPED: &str = "
Reasons of a `skipped` object.

";

const CHANGED: &str = "
Of a `changed` object; of a `missing` one it is `missing`.

";

const FAULTS: &str = "
### Reasons

Of a `quarantined` or `refused` object, and of a record in `quarantine`. ` (salvaged)` stands after the reason of a
damaged object whose whole records were taken.

";

const QUARANTINE: &str = "
## quarantine

One row per record that could not be read, up to 100,000 of a run. The records of a damaged object are not here: it gives
none.

";

/// The sections on `objects` and `quarantine` of the page `docs/views.md`.
pub fn docs_markdown() -> String {
    let mut page = String::from(OBJECTS);
    push_columns(&mut page, &OBJECT_COLUMNS.list());
    page.push_str(LEDGER);
    push_columns(&mut page, &LEDGER_COLUMNS.list());
    page.push_str("\n### Statuses\n\n");
    push_words::<ObjectStatus>(&mut page, "status");
    page.push_str("\n### Kinds\n\n");
    push_words::<ObjectKind>(&mut page, "kind");
    page.push_str(ERRORS);
    push_words::<ObjectFlag>(&mut page, "flag");
    page.push_str(SKIPPED);
    push_words::<SkipReason>(&mut page, "reason");
    page.push_str(CHANGED);
    push_words::<ObjectChange>(&mut page, "reason");
    page.push_str(FAULTS);
    push_words::<FaultReason>(&mut page, "reason");
    page.push_str(QUARANTINE);
    push_columns(&mut page, &QUARANTINE_COLUMNS.list());
    page
}

fn push_columns(page: &mut String, columns: &[TableColumn]) {
    page.push_str("| column | type | what |\n|---|---|---|\n");
    for TableColumn { name, ty, meaning, .. } in columns {
        writeln!(page, "| `{name}` | {} | {meaning} |", ty.name()).expect("writing to a String cannot fail");
    }
}

fn push_words<W: Word>(page: &mut String, heading: &str) {
    writeln!(page, "| {heading} | what |\n|---|---|").expect("writing to a String cannot fail");
    for &word in W::ALL {
        writeln!(page, "| `{}` | {} |", word.name(), word.meaning()).expect("writing to a String cannot fail");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_names_columns_and_words() {
        let page = super::docs_markdown();
        for row in ["| `conflicts` | int |", "| `gzip_crc` |", "| `event_history` |", "| `raw` | text |", "| `batch` |"]
        {
            assert!(page.contains(row), "{row}");
        }
    }
}
