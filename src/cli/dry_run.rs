//! `--dry-run`: the objects that a run would read, and their cost.
//! In: a plan from listing alone. Out: a few lines on stdout.

use std::io::Write;

use super::exit::Failure;
use super::summary;
use crate::dataset::ReadPlan;
use crate::output::OutputTarget;
use crate::output::words::{bytes, count};
use crate::source::{PrunedCounts, ReadCost};

pub fn print(plan: &ReadPlan) -> Result<(), Failure> {
    let mut target = OutputTarget::stdout();
    lines(plan).iter().try_for_each(|line| writeln!(target, "{line}")).map_err(|e| Failure::write(&e))?;
    Ok(target.commit()?)
}

fn lines(plan: &ReadPlan) -> Vec<String> {
    let mut lines = vec![format!("objects   {}, {}", count(plan.objects), bytes(plan.cost.bytes))];
    if plan.looked_at > 0 {
        lines.push(format!("look at   {}, whose names do not say if they are logs", count(plan.looked_at)));
    }
    if plan.skipped + plan.refused > 0 {
        lines.push(format!("not read  {} skipped, {} refused", count(plan.skipped), count(plan.refused)));
    }
    let pruned = &plan.pruned;
    lines.push(format!(
        "pruned    {} prefixes, {} single objects",
        count(pruned.directories as u64),
        count(pruned.objects as u64)
    ));
    lines.extend(without_organization(pruned));
    lines.extend(cost_lines(&plan.cost));
    lines
}

/// The objects that a scope of organizations cannot place.
pub fn without_organization(pruned: &PrunedCounts) -> Option<String> {
    let objects = pruned.without_organization as u64;
    (objects > 0).then(|| format!("left out  {}", summary::without_organization(objects)))
}

/// The lines on the requests and the time that a run takes.
pub fn cost_lines(cost: &ReadCost) -> Vec<String> {
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
        let cost = ReadCost { list_requests: 7, get_requests: 1_234, bytes: 1 << 20, history: None };
        let plan = ReadPlan { objects: 1_234, cost, ..ReadPlan::default() };
        let text = lines(&plan).join("\n");
        for part in ["1,234, 1.00 MiB", "0 prefixes", "7 LIST", "1,234 GET", "2 s or more"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for part in ["history", "not read", "look at", "left out"] {
            assert!(!text.contains(part), "{part}: {text}");
        }
        let pruned = PrunedCounts { without_organization: 2, ..PrunedCounts::default() };
        let text = lines(&ReadPlan { looked_at: 3, pruned, ..plan }).join("\n");
        for part in ["look at   3,", "left out  2 objects whose path names no organization"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
