//! Compares plans with plans that people have read: a question reads the objects and columns it needs, and no more.
//! In: `tests/plans/NAME.sql`. Out: `NAME.plan`, over the sample logs.

use crate::child::keytrail;
use crate::golden;

/// The plans of a statement over the sample logs, as text.
fn plans(sql: &str, threads: &str) -> String {
    let explain = format!("EXPLAIN {sql}");
    let ended = keytrail(["query", &explain, "--from", "sample-logs", "--threads", threads, "-q", "-f", "json"]);
    let rows = ended.rows().unwrap_or_else(|error| panic!("{sql}: {error}"));
    let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().trim_end().to_owned();
    rows.iter().map(|row| format!("{}\n{}\n", text(row, "plan_type"), text(row, "plan"))).collect()
}

#[test]
fn questions_read_what_they_need() {
    golden::check_each("tests/plans", "plan", |sql| plans(sql, "1"));
}

/// A left join that adds neither rows nor columns is not there when the question is answered.
#[test]
fn a_derived_table_that_nobody_reads_is_not_computed() {
    let on_session = "s.principal_id IS NOT DISTINCT FROM c.principal_id \
        AND s.session_created IS NOT DISTINCT FROM c.session_created";
    for (sql, is_computed) in [
        ("SELECT person FROM key_changes", true),
        ("SELECT change FROM key_changes WHERE person IS NOT NULL", true),
        ("SELECT count(*) FROM key_changes", false),
        ("SELECT change, changed_by FROM key_changes", false),
        ("SELECT DISTINCT change FROM key_changes", false),
        ("SELECT change FROM key_changes UNION ALL SELECT event_name FROM key_use", false),
        ("SELECT change, row_number() OVER (ORDER BY event_time) FROM key_changes", false),
        (&format!("SELECT c.event_id FROM calls c LEFT JOIN role_sessions s ON {on_session}"), false),
        // These may add rows: one half of what is unique, and a join that drops rows.
        ("SELECT c.event_id FROM calls c LEFT JOIN role_sessions s ON s.principal_id = c.principal_id", true),
        (&format!("SELECT c.event_id FROM calls c JOIN role_sessions s ON {on_session}"), true),
    ] {
        assert_eq!(plans(sql, "1").contains("DerivedExec"), is_computed, "{sql}");
    }
}

/// Our operator hands out batches of wide rows, since DataFusion's would copy them.
#[test]
fn a_scan_is_handed_out_where_its_order_is_given_up() {
    for (sql, is_handed_out) in [
        ("SELECT count(raw), count(request_parameters) FROM events", true),
        ("SELECT principal, max(raw) FROM events GROUP BY principal", true),
        ("SELECT * FROM events", false),
        ("SELECT raw FROM events LIMIT 3", false),
    ] {
        let plan = plans(sql, "2");
        assert_eq!(plan.contains("HandOutExec: partitions=2"), is_handed_out, "{plan}");
        assert!(!plan.contains("RoundRobinBatch"), "{plan}");
    }
}
