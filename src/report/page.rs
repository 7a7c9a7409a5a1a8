//! The frame of the page: its head, its policy, and its parts in order.
//! In: [`Facts`]. Out: the whole HTML file, whose style alone its policy lets in. Never says anything of its own.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::facts::Facts;
use super::names::Names;
use super::pieces::{PageContext, title};
use super::{controls, coverage, denials, findings, head, keys, method, people, pictures, story};

const STYLE: &str = include_str!("style.css");

/// The parts of the page: id, title and content.
type Part = (&'static str, &'static str, fn(&PageContext<'_>) -> Markup);

const PARTS: [Part; 10] = [
    ("look", "What needs a look", findings::part),
    ("chains", "Refused, then let in", story::part),
    ("time", "When it happened", pictures::timeline),
    ("who", "Who used what", pictures::crossings),
    ("keys", "Keys in question", keys::part),
    ("refusals", "Refusals", denials::part),
    ("people", "People behind roles", people::part),
    ("controls", "Controls", controls::part),
    ("coverage", "What the logs can prove", coverage::part),
    ("method", "Method and limits", method::part),
];

/// The whole file.
pub fn html(facts: &Facts) -> String {
    let page = PageContext { facts, names: Names::of(facts), id: facts.id() };
    let style = style(&page.id);
    let policy =
        format!("default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'", hash(&style));
    let bodies: Vec<(&str, &str, Markup)> = PARTS.iter().map(|(id, title, part)| (*id, *title, part(&page))).collect();
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="description" content="Who used which KMS key, who was refused, and what needs a look.";
                title { (title(facts)) }
                style { (PreEscaped(&style)) }
            }
            body {
                a.skip href="#top" { "To the report" }
                div.frame {
                    nav aria-label="Contents" {
                        ol {
                            @for (id, title, _) in &bodies {
                                li {
                                    a href={ "#" (id) } { (title) }
                                }
                            }
                        }
                    }
                    main #top {
                        (head::part(&page))
                        @for (id, title, body) in &bodies {
                            section id=(id) aria-labelledby={ (id) "-h" } {
                                h2 id={ (id) "-h" } { (title) }
                                (body)
                            }
                        }
                        (method::signatures(&page))
                    }
                }
            }
        }
    };
    whole.into_string() + "\n"
}

/// The style with the report's id, which every printed page bears.
fn style(id: &str) -> String {
    format!("{STYLE}@page{{@bottom-left{{content:\"keytrail report {}\"}}}}\n", &id[..16])
}

fn hash(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use html5ever::tendril::TendrilSink;
    use markup5ever_rcdom::{NodeData, RcDom};

    use super::*;
    use crate::output::visible::tests::{harmless, payloads};
    use crate::report::names::shown;
    use crate::report::phrases::grouped;
    use crate::report::samples;

    #[test]
    fn the_policy_names_the_style() {
        let page = html(&Facts::default());
        let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        assert!(page.contains(&format!("style-src 'sha256-{}'", hash(style))));
        for forbidden in ["<script", " style=", "javascript:", "http://", "https://", "<img", "<link"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn the_same_facts_are_the_same_page() {
        let facts = || samples::facts("a", Some(2));
        assert_eq!(html(&facts()), html(&facts()));
        assert_ne!(facts().id(), samples::facts("b", Some(2)).id());
    }

    #[test]
    fn no_page_is_larger_than_five_megabytes() {
        for heavy in ["\"", "e\u{301}\u{301}\u{301}"] {
            let page = html(&samples::facts(&heavy.repeat(400), None));
            assert!(page.len() < 5_000_000, "{}", page.len());
        }
        let plain = html(&samples::facts("arn:aws:iam::111122223333:role/some/path/of-usual-length", None));
        assert!(plain.len() < 2_000_000, "{}", plain.len());
    }

    /// Elements with their attributes' names, and texts, in the order of the page.
    fn parsed(page: &str) -> (Vec<String>, Vec<String>) {
        let dom = html5ever::parse_document(RcDom::default(), Default::default()).one(page);
        let (mut elements, mut texts) = (Vec::new(), Vec::new());
        let mut left = vec![dom.document.clone()];
        while let Some(node) = left.pop() {
            match &node.data {
                NodeData::Element { name, attrs, .. } => {
                    let attributes: Vec<String> = attrs.borrow().iter().map(|a| a.name.local.to_string()).collect();
                    elements.push(format!("{} {}", name.local, attributes.join(" ")));
                }
                NodeData::Text { contents } => texts.push(contents.borrow().to_string()),
                NodeData::Comment { .. } | NodeData::ProcessingInstruction { .. } => elements.push("!".to_owned()),
                NodeData::Document | NodeData::Doctype { .. } => {}
            }
            left.extend(node.children.borrow().iter().rev().cloned());
        }
        (elements, texts)
    }

    /// The page of one value, without what its own id and style say.
    fn page_of(value: &str) -> String {
        let facts = samples::facts(value, Some(1));
        let id = facts.id();
        html(&facts).replace(&id, "ID").replace(&id[..16], "ID").replace(&grouped(&id), "ID")
    }

    #[test]
    fn hostile_values_stay_text() {
        let marker = "MARKER";
        let (elements, texts) = parsed(&page_of(marker));
        assert!(texts.iter().filter(|text| text.contains(marker)).count() > 80);
        for (name, value) in payloads() {
            let (hostile_elements, hostile_texts) = parsed(&page_of(&value));
            assert_eq!(hostile_elements, elements, "{name}");
            let expected = texts.iter().map(|text| text.replace(marker, &shown(&value)));
            let expected: Vec<String> = expected.filter(|text| !text.is_empty()).collect();
            for (text, expected) in hostile_texts.iter().zip(&expected).filter(|(text, _)| !text.contains("@page")) {
                assert_eq!(text, expected, "{name}");
                assert!(harmless(text.trim()), "{name}");
            }
            assert_eq!(hostile_texts.len(), expected.len(), "{name}");
        }
    }
}
