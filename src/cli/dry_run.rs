//! `--dry-run`: the objects that a run would read, and their cost.
//! In: a plan from listing alone. Out: a few lines on stdout.

use std::io::Write;

use super::exit::Failure;
use crate::dataset::ReadPlan;
use crate::output::Target;
use crate::output::words::{bytes, count};
use crate::source::Cost;

pub fn print(plan: &ReadPlan) -> Result<(), Failure> {
    let mut target = Target::stdout();
    lines(plan).iter().try_for_each(|line| writeln!(target, "{line}")).map_err(|e| Failure::write(&e))?;
    Ok(target.commit()?)
}

fn lines(plan: &ReadPlan) -> Vec<String> {
    let mut lines = vec![format!("objects   {}, {}", count(plan.objects), bytes(plan.cost.bytes))];
    if plan.skipped + plan.refused > 0 {
        lines.push(format!("not read  {} skipped, {} refused", count(plan.skipped), count(plan.refused)));
    }
    let pruned = &plan.pruned;
    lines.push(format!(
        "pruned    {} prefixes, {} single objects",
        count(pruned.directories as u64),
        count(pruned.objects as u64)
    ));
    lines.extend(cost_lines(&plan.cost));
    lines
}

/// The lines on the requests and the time that a run takes.
pub fn cost_lines(cost: &Cost) -> Vec<String> {
    let mut lines = Vec::new();
    if cost.list_requests > 0 {
        lines.push(format!(
            "requests  {} LIST (made now, and again by a run), {} GET",
            count(cost.list_requests),
            count(cost.get_requests)
        ));
    }
    lines.push(format!("time      {} s or more, at 1,000 requests and 50 MB a second", count(cost.seconds())));
    lines.extend(cost.history.as_ref().map(|text| format!("history   {text}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_a_run_takes() {
        let cost = Cost { list_requests: 7, get_requests: 1_234, bytes: 1 << 20, history: None };
        let plan = ReadPlan { objects: 1_234, cost, ..ReadPlan::default() };
        let text = lines(&plan).join("\n");
        for part in ["1,234, 1.00 MiB", "0 prefixes", "7 LIST", "1,234 GET", "2 s or more"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("history") && !text.contains("not read"));
    }
}
