//! The people behind roles.
//! In: sessions by person. Out: a part of the page. Never takes a session's name for a person.

use maud::{Markup, html};

use super::facts::Person;
use super::phrases::{counted, interval};
use super::pieces::{Ground, PageContext, cut, nothing, sources, table};
use crate::output::words;

pub(super) fn part(page: &PageContext<'_>) -> Markup {
    let (people, sessions) = (&page.facts.people, &page.facts.sessions);
    html! {
        p.note {
            (counted(sessions.sessions, "session"))
            " of "
            (counted(sessions.roles, "role"))
            " called KMS. The person is known behind "
            (words::count(sessions.with_person))
            " of them, and nobody behind "
            ({
                words::count(
                    sessions.sessions - sessions.with_person.min(sessions.sessions),
                )
            })
            ". A session's name proves nothing, since the caller chooses it."
        }
        @if people.rows.is_empty() { (nothing(page, "people")) } @else {
            ({
                table(
                    "People behind roles",
                    &[
                        "Person",
                        "Role",
                        "Known by",
                        "Sessions",
                        "Calls",
                        "Refused",
                        "When",
                    ],
                    html! {
                        @for row in &people.rows { (one(page, row)) }
                    },
                )
            })
            (cut(people.rows.len(), people.of_all, "person and role", "people"))
        }
        (sources(page, &["people", "sessions"], Ground::Inferred))
    }
}

fn one(page: &PageContext<'_>, row: &Person) -> Markup {
    html! {
        tr {
            th scope="row" { (page.names.cell(&row.person)) }
            td { (page.names.cell(&row.role)) }
            td { (known_by(&row.source)) }
            td.num { (words::count(row.sessions)) }
            td.num { (words::count(row.calls)) }
            td.num { (words::count(row.refused)) }
            td {
                @match (row.first, row.last) {
                    (Some(first), Some(last)) => (interval(first, last)),
                    _ => "",
                }
            }
        }
    }
}

fn known_by(source: &str) -> &str {
    match source {
        "chain" => "the calls of STS that led to the session",
        "on_behalf_of" => "the Identity Center user that calls name",
        "source_identity" => "the source identity",
        "sso_session_name" => "Identity Center's own name of the session",
        "principal" => "the principal itself",
        _ => "another source",
    }
}
