//! Renders `docs/schema.md` from the tables that the normalizer decides by.
//! In: nothing. Out: Markdown. Never states a rule of its own: each comes from the table that decides by it.

use super::operation::OPERATIONS;
use super::outcome::{HANDED_ON, OUTCOMES};
use crate::schema::columns_markdown;

const HEAD: &str = "# The table `events`

One row per unique event. AWS's own names in snake_case where AWS has one; NULL means that the record does not say.
`from` is the JSON path in the record. What a record holds in another type than AWS documents is kept as text or is
NULL, and `issues` names its path. This page is generated from the code.

## Columns

";

const OUTCOME_HEAD: &str = "
## Outcomes

`success` is a record without error code and message, or with the code `200`. A code may carry a prefix, as in
`KMS.AccessDeniedException`. `*` stands for any text. Another service's code that begins with `KMS`, `Kms` or
`EncryptionKey`, and goes on with a name of the second table, is KMS's error handed on: `KMSAccessDeniedException`,
`KmsKeyDisabledException`, `KMSNotFoundFault`. Where a service's message wraps KMS's answer, or says in its own words that KMS
refused, that decides. A message without a code, and every code that is not listed, is `other_error`.

| `outcome` | error codes |
|---|---|
";

const HANDED_ON_HEAD: &str = "
| `outcome` | names of KMS's errors that other services hand on |
|---|---|
";

const DENIALS: &str = "
## Denials

| `denial_reason` | the message |
|---|---|
| `identity_policy`, `resource_policy`, `session_policy`, `permissions_boundary`, `scp`, `rcp`, `vpc_endpoint_policy`, `role_trust_policy` | names this kind of policy: `because no … allows` is `implicit`, `with an explicit deny in a …` is `explicit`; also from a message that was cut, where one kind is left |
| `resource_policy_or_missing` | gives three causes at once: the key does not exist, is elsewhere, or its policy refuses |
| `unspecified` | names none, or there is no message |
| `unparsed` | has a form that is not known, or was cut before it decides |

## Operations

| `operation_class` | event names of KMS |
|---|---|
";

/// The page `docs/schema.md`.
pub fn docs_markdown() -> String {
    let mut page = String::from(HEAD);
    page.push_str(&columns_markdown());
    page.push_str(OUTCOME_HEAD);
    push_rows(&mut page, OUTCOMES);
    page.push_str(HANDED_ON_HEAD);
    HANDED_ON.iter().for_each(|(names, outcome)| push_rows(&mut page, &[(*outcome, *names)]));
    page.push_str(DENIALS);
    push_rows(&mut page, OPERATIONS);
    page.push_str("| `other` | any other |\n");
    page
}

fn push_rows(page: &mut String, rows: &[(&str, &[&str])]) {
    for (name, values) in rows {
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        page.push_str(&format!("| `{name}` | {} |\n", values.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_names_every_column_and_operation() {
        let page = super::docs_markdown();
        for column in crate::schema::COLUMNS {
            assert!(page.contains(&format!("| `{}` |", column.name)), "{}", column.name);
        }
        assert!(page.contains("`SynchronizeMultiRegionKey`") && page.contains("`*UnauthorizedOperation`"));
    }
}
