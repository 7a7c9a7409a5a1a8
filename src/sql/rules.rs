//! The rules of findings: files of `queries/findings`, and those that a user adds.
//! In: their cards. Out: the rules, and the plan of the rows of all that run. Never decides whether a finding is shown.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, col, ident, lit};

use super::cards::{self, Card, CardError, CardFault, CardKind, Severity};
use super::interval::timestamp;
use super::{SqlError, guard, views};
use crate::derive::AskedInterval;
use crate::schema::ColumnType;

/// The set in which a rule runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleSet {
    /// Always.
    Default,
    /// Where it is asked for: it compares with what was usual, so it needs history.
    Baseline,
}

impl RuleSet {
    /// The spelling in cards and answers.
    pub fn name(self) -> &'static str {
        match self {
            RuleSet::Default => "default",
            RuleSet::Baseline => "baseline",
        }
    }

    fn read(text: &str) -> Option<RuleSet> {
        [RuleSet::Default, RuleSet::Baseline].into_iter().find(|set| set.name() == text)
    }
}

/// The things that must be in the logs for a rule to be able to say anything. `rules` says of each if it is there.
pub const NEEDS: [&str; 10] = [
    "baseline",
    "cloudtrail",
    "digests",
    "dynamodb",
    "events_all",
    "iam",
    "kms_reads",
    "kms_writes",
    "organizations",
    "sts",
];

/// One rule and its card.
#[derive(Debug, Clone)]
pub struct FindingRule {
    pub name: &'static str,
    pub title: &'static str,
    pub severity: Severity,
    pub set: RuleSet,
    pub why: String,
    pub controls: Vec<&'static str>,
    pub attack: Vec<&'static str>,
    pub false_positives: String,
    pub next: String,
    /// Of [`NEEDS`].
    pub needs: Vec<&'static str>,
    /// The whole file.
    pub sql: &'static str,
    pub statement: &'static str,
}

impl FindingRule {
    /// Reads a card.
    ///
    /// # Errors
    /// Fails if the card lacks what every rule has, or says something unknown.
    pub fn of(card: &Card) -> Result<FindingRule, CardError> {
        let severity = card.severity()?.ok_or_else(|| card.fault(CardFault::Missing("severity")))?;
        let set = card.values("set", "one of default, baseline", RuleSet::read)?;
        let need = |value| NEEDS.iter().find(|known| **known == value).copied();
        Ok(FindingRule {
            name: card.name,
            title: card.title(),
            severity,
            set: set.first().copied().unwrap_or(RuleSet::Default),
            why: card.joined("why"),
            controls: card.texts("controls").collect(),
            attack: card.texts("attack").collect(),
            false_positives: card.joined("false-positives"),
            next: card.joined("next"),
            needs: card.values("needs", "one of the words that docs/rules.md lists", need)?,
            sql: card.sql,
            statement: card.statement(),
        })
    }
}

impl FindingRule {
    /// What a card of a rule has to say, and this one does not.
    pub fn missing(&self) -> Option<&'static str> {
        let said = [
            ("why", !self.why.is_empty()),
            ("false-positives", !self.false_positives.is_empty()),
            ("next", !self.next.is_empty()),
            ("controls", !self.controls.is_empty()),
            ("needs", !self.needs.is_empty()),
        ];
        said.into_iter().find(|(_, is_said)| !is_said).map(|(key, _)| key)
    }

    /// The reason that the statement of a rule cannot be used, whatever it gives.
    pub fn objection(&self) -> Option<String> {
        if let Err(refusal) = guard::check(self.statement) {
            return Some(SqlError::from(refusal).to_string());
        }
        let own = ["findings", "rule_findings", RULE_ROWS];
        let reads = views::table_names(self.statement).unwrap_or_default();
        let found = reads.iter().find(|name| own.contains(&name.as_str()))?;
        Some(format!("a rule cannot read `{found}`, which follows from the rules"))
    }
}

/// The rules that come with keytrail, by name.
pub fn all() -> &'static [FindingRule] {
    static ALL: LazyLock<Vec<FindingRule>> =
        LazyLock::new(|| read_all().expect("a test reads the card of every rule that is compiled in"));
    &ALL
}

/// True of a rule of keytrail's own.
pub(super) fn comes_with_keytrail(name: &str) -> bool {
    all().binary_search_by(|rule| rule.name.cmp(name)).is_ok()
}

fn read_all() -> Result<Vec<FindingRule>, CardError> {
    cards::each(CardKind::Finding, FindingRule::of)
}

/// The first columns of a rule, in their order.
const FIRST_COLUMNS: [(&str, ColumnType); 11] = [
    ("event_time", ColumnType::Timestamp),
    ("account_id", ColumnType::Text),
    ("region", ColumnType::Text),
    ("principal", ColumnType::Text),
    ("sessions", ColumnType::TextList),
    ("source_ips", ColumnType::TextList),
    ("key_arn", ColumnType::Text),
    ("table_name", ColumnType::Text),
    ("outcome", ColumnType::Text),
    ("event_ids", ColumnType::TextList),
    ("detail", ColumnType::Text),
];

/// Columns that a rule may have beside them.
const FURTHER_COLUMNS: [(&str, ColumnType); 4] = [
    ("subject", ColumnType::Text),
    ("severity", ColumnType::Text),
    ("event_count", ColumnType::Int),
    ("last_time", ColumnType::Timestamp),
];

/// The columns of `calls` and `key_calls` that the rules of keytrail see. Planning costs by the column, and the rules use half.
pub(super) const CALL_COLUMNS: [&str; 58] = [
    "event_id",
    "event_time",
    "event_source",
    "event_name",
    "event_category",
    "aws_region",
    "recipient_account_id",
    "vpc_endpoint_id",
    "source_ip_address",
    "principal_type",
    "principal_id",
    "principal",
    "principal_arn",
    "principal_account_id",
    "session_arn",
    "session_name",
    "session_created",
    "access_key_id",
    "source_identity",
    "on_behalf_of",
    "mfa_authenticated",
    "invoked_by",
    "caller_class",
    "via_service",
    "error_code",
    "error_message",
    "outcome",
    "denial_reason",
    "denial_effect",
    "denied_action",
    "denied_resource",
    "denial_policy_arn",
    "key_arn",
    "key_id",
    "key_account_id",
    "key_region",
    "key_family",
    "key_source",
    "requested_alias",
    "source_key_arn",
    "resource_service",
    "resource_type",
    "resource_arn",
    "resource_name",
    "resource_trust",
    "table_name",
    "table_arn",
    "operation_class",
    "grant_id",
    "grantee_principal",
    "request_parameters",
    "response_elements",
    "additional_event_data",
    "integrity",
    "object_uri",
    "raw",
    "key_role",
    "alias_arn",
];

/// The table of the rows of all rules that run, which only views may name.
pub(super) const RULE_ROWS: &str = "rule_rows";

/// The table of what every rule needs, which only views may name.
pub(super) const RULE_NEEDS: &str = "rule_needs";

/// A row for each rule and each thing that it needs, and whether it runs. `is_met` where no record tells it.
pub(super) fn needs_batch(run: &[FindingRule], has_all_events: bool) -> Result<RecordBatch> {
    let of_users = run.iter().filter(|rule| !comes_with_keytrail(rule.name));
    let mut rules: Vec<&FindingRule> = all().iter().chain(of_users).collect();
    rules.sort_unstable_by_key(|rule| rule.name);
    let pairs: Vec<(&FindingRule, Option<&str>)> = rules
        .into_iter()
        .flat_map(|rule| {
            let none = rule.needs.is_empty().then_some(None);
            rule.needs.iter().map(|need| Some(*need)).chain(none).map(move |need| (rule, need))
        })
        .collect();
    let texts = |of: &dyn Fn(&(&FindingRule, Option<&str>)) -> Option<String>| -> ArrayRef {
        Arc::new(pairs.iter().map(of).collect::<StringArray>())
    };
    let is_run = pairs.iter().map(|(rule, _)| Some(run.iter().any(|one| one.name == rule.name)));
    let is_met = pairs.iter().map(|(_, need)| need.filter(|need| *need == "events_all").map(|_| has_all_events));
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("rule", texts(&|(rule, _)| Some(rule.name.to_owned())), false),
        ("title", texts(&|(rule, _)| Some(rule.title.to_owned())), false),
        ("severity", texts(&|(rule, _)| Some(rule.severity.name().to_owned())), false),
        ("rule_set", texts(&|(rule, _)| Some(rule.set.name().to_owned())), false),
        ("controls", texts(&|(rule, _)| Some(rule.controls.join(", ")).filter(|text| !text.is_empty())), true),
        ("attack", texts(&|(rule, _)| Some(rule.attack.join(", ")).filter(|text| !text.is_empty())), true),
        ("need", texts(&|(_, need)| need.map(str::to_owned)), true),
        ("is_run", Arc::new(is_run.collect::<BooleanArray>()), false),
        ("is_met", Arc::new(is_met.collect::<BooleanArray>()), true),
    ])?)
}

/// The rows of one rule, as the rows of all rules look. Fails if its columns are not those of a rule.
pub(super) fn rows_of(rule: &FindingRule, plan: LogicalPlan, interval: AskedInterval) -> Result<LogicalPlan> {
    let since = ScalarValue::TimestampMicrosecond(interval.since, Some("UTC".into()));
    let plan = match plan.get_parameter_names()?.contains("$since") {
        true => plan.with_param_values(vec![("since", since)])?,
        false => plan,
    };
    let fields: Vec<(String, arrow::datatypes::DataType)> =
        plan.schema().fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect();
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    if names.iter().zip(FIRST_COLUMNS).filter(|(name, (expected, _))| *name == expected).count() != FIRST_COLUMNS.len()
    {
        let expected = FIRST_COLUMNS.map(|(name, _)| name).join(", ");
        return plan_err!(
            "the rule `{}` has the columns {}, and a rule begins with {expected}",
            rule.name,
            names.join(", ")
        );
    }
    if let Some(unknown) =
        names[FIRST_COLUMNS.len()..].iter().find(|n| FURTHER_COLUMNS.iter().all(|(name, _)| name != *n))
    {
        let known = FURTHER_COLUMNS.map(|(name, _)| name).join(", ");
        return plan_err!("the rule `{}` has a column `{unknown}`; it may have {known}", rule.name);
    }
    let mut columns = vec![lit(rule.name).alias("rule")];
    for (name, ty) in FIRST_COLUMNS.into_iter().chain(FURTHER_COLUMNS) {
        let found = fields.iter().find(|(found, _)| found == name).map(|(_, found)| found);
        columns.push(column(rule, name, &ty.data_type(), found)?.alias(name));
    }
    // A row lies in the interval if any part of it does.
    let last = match names.contains(&"last_time") {
        true => coalesce(vec![ident("last_time"), ident("event_time")]),
        false => ident("event_time"),
    };
    let inside = [
        interval.since.map(|since| last.gt_eq(timestamp(since))),
        interval.until.map(|until| col("event_time").lt(timestamp(until))),
    ];
    let rows = LogicalPlanBuilder::from(plan);
    let rows = match inside.into_iter().flatten().reduce(Expr::and) {
        Some(inside) => rows.filter(col("event_time").is_null().or(inside))?,
        None => rows,
    };
    rows.project(columns)?.build()
}

/// A column of a rule, or what stands for it where the rule has none.
fn column(
    rule: &FindingRule,
    name: &str,
    ty: &arrow::datatypes::DataType,
    found: Option<&arrow::datatypes::DataType>,
) -> Result<Expr> {
    use arrow::datatypes::DataType;
    match found {
        // A rule leaves the severity to its card where it does not tell another.
        Some(found) if found == ty && name == "severity" => Ok(coalesce(vec![ident(name), lit(rule.severity.name())])),
        Some(found) if found == ty => Ok(ident(name)),
        Some(found) if found.equals_datatype(ty) || *found == DataType::Null => Ok(cast(ident(name), ty.clone())),
        Some(found) => plan_err!("the rule `{}` has `{name}` as {found}, and it is {ty}", rule.name),
        None if name == "severity" => Ok(lit(rule.severity.name())),
        None => Ok(cast(lit(ScalarValue::Null), ty.clone())),
    }
}

/// The columns of the rows of all rules.
pub(super) fn rows_schema() -> SchemaRef {
    let own = [("rule", ColumnType::Text)];
    let columns = own.into_iter().chain(FIRST_COLUMNS).chain(FURTHER_COLUMNS);
    Arc::new(Schema::new(columns.map(|(name, ty)| Field::new(name, ty.data_type(), true)).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_can_be_read() {
        let rules = read_all().unwrap_or_else(|error| panic!("{error}"));
        assert!(rules.windows(2).all(|pair| pair[0].name < pair[1].name) && NEEDS.is_sorted());
        for rule in rules {
            assert_eq!((rule.missing(), rule.objection()), (None, None), "{}", rule.name);
            assert!(rule.set == RuleSet::Baseline || !rule.needs.contains(&"baseline"), "{}", rule.name);
        }
    }

    #[test]
    fn a_card_says_its_set_and_needs() {
        let read = |more: &str| {
            let text = format!("-- title: x\n-- severity: low\n{more}SELECT 1");
            FindingRule::of(&Card::read(CardKind::Finding, "x", Box::leak(text.into_boxed_str()))?)
        };
        let rule = read("-- set: baseline\n-- needs: iam\n-- needs: kms_reads\n").unwrap();
        assert_eq!((rule.set, rule.needs.as_slice()), (RuleSet::Baseline, &["iam", "kms_reads"][..]));
        assert_eq!(read("").unwrap().set, RuleSet::Default);
        for (more, says) in [("-- set: all\n", "not one of default, baseline: `all`"), ("-- needs: luck\n", "`luck`")] {
            let error = read(more).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
