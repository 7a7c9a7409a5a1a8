//! Reads any bytes as one JSON value as another reader would, normalizes it as a record, and holds the row to what the
//! schema promises, and the screen to what the parsed record says.
#![no_main]

use keytrail::decode::split::{DocumentPiece, Splitter};
use keytrail::json::{JsonFault, JsonTree};
use keytrail::normalize::{
    AccountHints, ColumnSet, EventFilter, Record, is_cloudtrail, normalize, passes, screens_out,
};
use keytrail::schema::{COLUMNS, Column};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

const ACCOUNT: &str = "111122223333";

fuzz_target!(|data: &[u8]| {
    let is_json = serde_json::from_slice::<IgnoredAny>(data).is_ok();
    let mut tree = JsonTree::new();
    let parsed = tree.parse(data);
    match parsed {
        Ok(_) => assert!(is_json, "taken for JSON"),
        // Stricter than others in these two alone.
        Err(JsonFault::DuplicateKey | JsonFault::Depth) => {}
        Err(fault) => assert!(!is_json, "{fault:?}"),
    }
    let Ok(value) = parsed else { return };
    let record = Record::of(value);
    if !is_cloudtrail(&record) {
        return;
    }
    for origin in [AccountHints::default(), AccountHints { account: Some(ACCOUNT), envelope_account: None }] {
        let row = normalize(&record, &origin, ColumnSet::all());
        assert!(!row.event_id.is_empty() && !row.principal.is_empty());
        for column in columns() {
            assert_ne!(row.text(column), Some(""), "{column:?} is an empty text");
            // A column computed alone is the column computed with all others.
            let alone = normalize(&record, &origin, ColumnSet::of(&[column]));
            assert_eq!(alone.text(column), row.text(column), "{column:?}");
            assert_eq!(alone.timestamp(column), row.timestamp(column), "{column:?}");
            assert_eq!(alone.boolean(column), row.boolean(column), "{column:?}");
            assert_eq!(alone.map(column), row.map(column), "{column:?}");
        }
        assert!(row.encryption_context.iter().all(|map| map.is_sorted_by(|a, b| a.0 < b.0)));
    }
    let document = [&b"{\"Records\":["[..], data, b"]}"].concat();
    let mut screened = 0;
    // A record in an array is the same record, so the document splits.
    Splitter::new(Some(screens_out))
        .advance(&DocumentPiece::whole(&document), &mut |item| screened += u32::from(item.is_screened_out))
        .expect("one record in an array is a document");
    assert!(screened == 0 || !passes(EventFilter::KeyUse, &record), "the screen lost it");
});

fn columns() -> impl Iterator<Item = Column> {
    (0..COLUMNS.len()).map(Column::from_index)
}
