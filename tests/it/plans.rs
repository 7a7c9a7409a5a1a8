//! Plans of questions against those that people have read: which objects and columns a question reads, and no more.
//! In: `tests/plans/NAME.sql`. Out: `NAME.plan`, over the sample logs.

use crate::child::keytrail;
use crate::golden;

#[test]
fn questions_read_what_they_need() {
    golden::check_each("tests/plans", "plan", |sql| {
        let explain = format!("EXPLAIN {sql}");
        let ended = keytrail(["query", &explain, "--from", "sample-logs", "--threads", "1", "-q", "-f", "json"]);
        let rows = ended.rows().unwrap_or_else(|error| panic!("{sql}: {error}"));
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().trim_end().to_owned();
        rows.iter().map(|row| format!("{}\n{}\n", text(row, "plan_type"), text(row, "plan"))).collect()
    });
}
