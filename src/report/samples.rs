//! Facts for tests: every list as long as its part may be, and every text the same.
//! In: the text and the number of rows. Out: [`Facts`]. Part of tests alone.

use super::facts::*;

const AT: Option<i64> = Some(1_773_151_120_000_000);
const HOUR: i64 = 3_600_000_000;

/// Rows of each list, as many as the `LIMIT` of its part where it is `None`.
pub(super) fn facts(text: &str, rows: Option<usize>) -> Facts {
    let sample = Sample { text, rows };
    Facts {
        run: sample.run(),
        seen: vec![sample.seen(); sample.number(200)],
        objects: sample.many(sample.object(), 24),
        integrity: vec![(sample.some(), 1)],
        findings: sample.many(sample.finding(), 100),
        rules: vec![sample.rule(); sample.number(100)],
        chains: sample.many(sample.chain(), 24),
        refused: sample.many(sample.refused(), 12),
        refusals: sample.many(sample.refusal(), 60),
        reasons: vec![sample.reason(); sample.number(30)],
        moments: (0..sample.number(121) * 4).map(moment).collect(),
        principals_keys: sample.crossing(),
        principals_tables: sample.crossing(),
        keys: sample.many(sample.key(), 16),
        people: sample.many(sample.person(), 32),
        spans: (0..sample.number(1_200)).map(|number| sample.span(number)).collect(),
        lanes_in_all: 1_000,
        regions: sample.many(sample.region(), 40),
        hours: sample.region().hours,
        ..Facts::default()
    }
}

#[derive(Clone, Copy)]
struct Sample<'t> {
    text: &'t str,
    rows: Option<usize>,
}

impl Sample<'_> {
    fn own(self) -> String {
        self.text.to_owned()
    }

    fn some(self) -> Option<String> {
        Some(self.own())
    }

    fn number(self, limit: usize) -> usize {
        self.rows.unwrap_or(limit)
    }

    fn texts(self) -> Vec<String> {
        vec![self.own(); self.number(30)]
    }

    fn many<T: Clone>(self, row: T, limit: usize) -> Listed<T> {
        Listed::new(vec![row; self.number(limit)], 1_000_000)
    }

    fn run(self) -> RunFacts {
        RunFacts {
            version: self.own(),
            locations: self.texts(),
            command: self.own(),
            beside: self.texts(),
            about: self.texts(),
            names: self.texts(),
            unattributed: Some(3),
            limits: vec![self.own(); 7],
            ..RunFacts::default()
        }
    }

    fn seen(self) -> SeenPlace {
        SeenPlace { account: self.some(), region: self.some(), first_event: AT, last_event: AT, events: 1 }
    }

    fn object(self) -> InputObject {
        InputObject {
            uri: self.own(),
            kind: self.own(),
            status: self.own(),
            records: 9,
            bytes: 9,
            sha256: self.some(),
            error: self.some(),
        }
    }

    fn finding(self) -> Finding {
        Finding {
            fingerprint: self.own(),
            rule: self.own(),
            title: self.own(),
            severity: "high".into(),
            first: AT,
            last: AT,
            events: 1_000_000,
            account: self.some(),
            region: self.some(),
            principal: self.some(),
            key: self.some(),
            table: self.some(),
            event_ids: self.texts(),
            detail: self.own(),
            suppressed_by: None,
        }
    }

    fn rule(self) -> Rule {
        Rule {
            rule: self.own(),
            title: self.own(),
            severity: self.own(),
            set: self.own(),
            controls: vec![self.own()],
            status: self.own(),
            lacks: self.some(),
            open: 3,
            open_info: 1,
            suppressed: 1,
        }
    }

    fn chain(self) -> Chain {
        Chain {
            principal: self.own(),
            key: self.some(),
            operation: self.own(),
            table: self.some(),
            denied: 3,
            denied_unnamed: 1,
            first_denied: AT,
            last_denied: AT,
            reason: self.some(),
            effect: self.some(),
            change: self.some(),
            change_id: self.some(),
            changed_at: AT,
            changed_by: self.some(),
            changed_by_self: self.some(),
            changer_person: self.some(),
            subject_person: self.some(),
            other_changes: 2,
            lag_seconds: Some(5),
            first_allowed: AT,
            denied_id: self.some(),
            allowed_id: self.some(),
            data_id: self.some(),
            evidence: self.own(),
            basis: self.own(),
            bad_hours: None,
            described_since: AT,
        }
    }

    fn refused(self) -> RefusedPrincipal {
        RefusedPrincipal {
            principal: self.own(),
            refused: 9,
            keys: 1,
            not_harmless: 1,
            explicit: 1,
            let_in_later: 0,
            last: AT,
        }
    }

    fn refusal(self) -> Refusal {
        Refusal {
            principal: self.own(),
            operation: self.own(),
            key: self.some(),
            asked_for: self.some(),
            reason: self.some(),
            effect: self.some(),
            noise: self.some(),
            refused: 9,
            first: AT,
            last: AT,
            let_in_since: AT,
        }
    }

    fn reason(self) -> RefusalReason {
        RefusalReason {
            reason: self.some(),
            effect: self.some(),
            refused: 9,
            principals: 9,
            keys: 9,
            let_in_later: 4,
            not_let_in: 5,
            harmless: 1,
        }
    }

    fn crossing(self) -> Crossing {
        let (rows, columns) = (self.number(41), self.number(13));
        let cell = |number: usize| CrossingCell {
            row: (number / columns) as u64,
            row_name: self.some(),
            column: (number % columns) as u64,
            column_name: self.some(),
            used: 1_000_000,
            refused: 1_000,
        };
        Crossing { cells: (0..rows * columns).map(cell).collect(), rows_in_all: 10_000, columns_in_all: 10_000 }
    }

    fn person(self) -> Person {
        Person {
            person: self.own(),
            source: self.own(),
            role: self.own(),
            sessions: 1,
            calls: 1,
            refused: 1,
            first: AT,
            last: AT,
        }
    }

    fn span(self, number: usize) -> CoverageSpan {
        CoverageSpan {
            account: self.some(),
            region: self.some(),
            lane: number as u64 / 50 + 1,
            from: number as i64 * HOUR,
            to: (number as i64 + 1) * HOUR,
            hours: 1,
            state: self.own(),
            basis: self.own(),
            kms_logged: self.own(),
            verdict: Some("bad".into()),
            faults: 1,
            of_lane: 100_000,
        }
    }

    fn region(self) -> CoverageOfRegion {
        let hours = CoverageHours { all: 100, by_digest: 10, by_objects: 10, bad: 10 };
        CoverageOfRegion { account: self.some(), region: self.some(), hours, faults: 1 }
    }

    fn key(self) -> KeyInQuestion {
        let state = KeyState { state: self.own(), from: AT, to: AT, set_by: self.some() };
        let dependent = Dependent { kind: self.own(), name: self.own(), calls: 1, last: AT };
        KeyInQuestion {
            key: self.own(),
            findings: 1,
            chains: 1,
            refused: 1,
            state: self.some(),
            origin: self.some(),
            deletion_date: self.some(),
            aliases: self.texts(),
            policies: self.many(self.version(), 4),
            grants: self.many(self.grant(), 6),
            states: self.many(state, 6),
            dependents: self.many(dependent, 8),
            ..KeyInQuestion::default()
        }
    }

    fn version(self) -> PolicyVersion {
        PolicyVersion {
            version: Some(1),
            from: AT,
            set_by: self.some(),
            event_id: self.some(),
            reading: self.own(),
            added: Some(self.texts()),
            removed: Some(self.texts()),
            changed: Some(self.texts()),
            newly_allows: Some(vec![format!("{} kms:Decrypt", self.text); self.number(30)]),
            notable: self.texts(),
        }
    }

    fn grant(self) -> Grant {
        Grant {
            id: self.own(),
            grantee: self.some(),
            operations: self.texts(),
            resource: self.some(),
            created_at: AT,
            created_by: self.some(),
            ended_at: AT,
            end_kind: self.some(),
            state: self.own(),
            last_possible_use: AT,
        }
    }
}

fn moment(number: usize) -> Moment {
    let lane = ["used", "refused", "failed", "changed"][number % 4];
    Moment { from: number as i64 / 4 * HOUR, seconds: 3600, lane: lane.into(), calls: 1_000_000 }
}
