//! Short names for ARNs by their meaning: a role by its name, a key by its alias or the head of its id, a table by its
//! name, each without the account, Region and partition that most names of the screen have.
//! In: the rows of a screen, and the aliases of keys. Out: one short name for each ARN, and a legend of the ARNs.
//! Never gives two ARNs of a kind one name, nor a name that stands on the screen as it is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use arrow::array::{Array, RecordBatch};

use super::cell;
use super::visible::visible;
use crate::arn::Arn;

/// Characters of a key's id that a screen shows where they tell keys apart, and that are enough to name the key.
const KEY_HEAD: usize = 8;
/// Later heads end where the groups of a UUID end.
const KEY_HEADS: [usize; 4] = [KEY_HEAD, 13, 18, 23];
/// Names that are remembered; a question with more of them shows the later ones whole.
const NAMES_MAX: usize = 100_000;

/// Characters of a key's id that tell keys apart; those of a multi-Region key all begin with `mrk-`.
pub fn key_head(id: &str) -> usize {
    if id.starts_with("mrk-") { KEY_HEAD + 4 } else { KEY_HEAD }
}

/// The ARN that a cell is; none for prose that begins with one.
pub fn arn(text: &str) -> Option<Arn<'_>> {
    Arn::parse(text).filter(|_| !text.contains(char::is_whitespace))
}

/// Names are told apart within a kind: a role and a table may have one name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum ShortNameKind {
    Principal,
    Key,
    Alias,
    Table,
    Other,
}

/// One way to write an ARN.
struct ShortForm {
    text: String,
    /// True where the ARN does not follow from the name and what most names have.
    needs_legend: bool,
}

/// A name that was given.
struct GivenName {
    text: String,
    needs_legend: bool,
}

/// The account, Region and partition that most names have, which short names leave out.
#[derive(Default, PartialEq, Eq, Debug)]
struct CommonPlace {
    partition: String,
    region: String,
    account: String,
    /// True where a name is of another place.
    has_others: bool,
}

/// The short names of a screen.
#[derive(Default)]
pub struct ShortNames {
    common: CommonPlace,
    /// `alias/NAME` by the ARN of the key that it alone names.
    aliases: HashMap<String, String>,
    given: HashMap<String, GivenName>,
    taken: HashSet<(ShortNameKind, String)>,
    /// Texts that stand among ARNs as they are.
    plain: HashSet<String>,
    /// ARNs that were shown by a name from which they do not follow.
    shown: BTreeSet<String>,
}

impl ShortNames {
    /// Names keys by the aliases that name them; rows are the ARN of an alias and the ARN of a key.
    pub fn with_aliases(rows: &RecordBatch) -> ShortNames {
        let mut keys_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let text = |column: usize, row: usize| {
            let mut text = String::new();
            cell::plain(&mut text, rows.column(column), row);
            text
        };
        for row in 0..rows.num_rows() {
            keys_of.entry(text(0, row)).or_default().insert(text(1, row));
        }
        let mut names = ShortNames::default();
        for (alias, keys) in &keys_of {
            let name = arn(alias).filter(|alias| alias.is_kms_alias()).map(|alias| alias.resource);
            // An alias that was moved from key to key names none of them.
            if let (Some(name), 1) = (name.filter(|name| is_simple(name)), keys.len()) {
                for key in keys {
                    names.aliases.entry(key.clone()).or_insert_with(|| name.to_owned());
                }
            }
        }
        names
    }

    /// Gives a name to every ARN of these rows. An ARN that has a name keeps it.
    pub fn meet(&mut self, rows: &[RecordBatch]) {
        let mut times_of: BTreeMap<String, usize> = BTreeMap::new();
        for column in rows.iter().flat_map(RecordBatch::columns) {
            self.read(column, &mut times_of);
        }
        if self.given.is_empty() {
            self.common = CommonPlace::of(&times_of);
        }
        let new: Vec<&String> = times_of.keys().filter(|arn| !self.given.contains_key(*arn)).collect();
        if self.given.len() + new.len() <= NAMES_MAX {
            self.name(&new);
        }
    }

    /// Counts the ARNs of a column, and keeps what stands beside them.
    fn read(&mut self, column: &dyn Array, times_of: &mut BTreeMap<String, usize>) {
        if cell::kind(column.data_type()) != cell::CellKind::Text {
            return;
        }
        let (mut others, mut has_arns) = (HashSet::new(), false);
        let mut text = String::new();
        for row in 0..column.len() {
            text.clear();
            if !cell::plain(&mut text, column, row) {
                continue;
            }
            if arn(&text).is_some() {
                has_arns = true;
                *times_of.entry(text.clone()).or_default() += 1;
            } else if !others.contains(&text) {
                others.insert(text.clone());
            }
        }
        if has_arns && self.plain.len() < NAMES_MAX {
            self.plain.extend(others);
        }
    }

    /// Every ARN takes its first form; those that share one, or one that is taken, all go on to their next.
    fn name(&mut self, arns: &[&String]) {
        let mut forms: Vec<(ShortNameKind, Vec<ShortForm>)> = arns.iter().map(|arn| self.forms(arn)).collect();
        loop {
            let mut wanted: HashMap<(ShortNameKind, &str), usize> = HashMap::new();
            for (kind, forms) in &forms {
                *wanted.entry((*kind, &forms[0].text)).or_default() += 1;
            }
            let is_free = |kind: ShortNameKind, text: &str| {
                wanted[&(kind, text)] == 1 && !self.plain.contains(text) && !self.taken.contains(&(kind, text.into()))
            };
            // The last form is the ARN itself, which nothing else is.
            let moving: Vec<usize> = (0..forms.len())
                .filter(|at| forms[*at].1.len() > 1 && !is_free(forms[*at].0, &forms[*at].1[0].text))
                .collect();
            if moving.is_empty() {
                break;
            }
            for at in moving {
                forms[at].1.remove(0);
            }
        }
        for (arn, (kind, mut forms)) in arns.iter().zip(forms) {
            let ShortForm { text, needs_legend } = forms.swap_remove(0);
            self.taken.insert((kind, text.clone()));
            self.given.insert((*arn).clone(), GivenName { text, needs_legend });
        }
    }

    /// All ways to write an ARN, the shortest first and the ARN itself last.
    fn forms(&self, whole: &str) -> (ShortNameKind, Vec<ShortForm>) {
        let mut forms = Vec::new();
        let Some(arn) = arn(whole) else { return (ShortNameKind::Other, vec![ShortForm::plain(whole)]) };
        let place = self.common.beside(&arn);
        let kind = match arn.service {
            "iam" | "sts" => {
                principal_forms(&arn, &place, &mut forms);
                ShortNameKind::Principal
            }
            "kms" if arn.is_kms_alias() => {
                forms.push(ShortForm::plain(format!("{place}{}", arn.resource)));
                ShortNameKind::Alias
            }
            "kms" => {
                let alias = self.aliases.get(whole).map(|alias| format!("{place}{alias}"));
                forms.extend(alias.map(ShortForm::in_legend));
                key_forms(&arn, &place, &mut forms);
                ShortNameKind::Key
            }
            "dynamodb" => {
                let name = arn.resource.strip_prefix("table/").unwrap_or(arn.resource);
                forms.push(ShortForm::plain(format!("{place}{name}")));
                ShortNameKind::Table
            }
            _ => {
                forms.push(ShortForm::plain(format!("{}:{place}{}", arn.service, arn.resource)));
                ShortNameKind::Other
            }
        };
        forms.push(ShortForm::plain(format!("{}:{}:{}", arn.region, arn.account, arn.resource)));
        forms.push(ShortForm::plain(whole));
        (kind, forms)
    }

    /// The name of an ARN on this screen; any other text as it is, with the ARNs in it by their names.
    pub fn shown<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        if let Some(given) = self.given.get(text) {
            if given.needs_legend {
                self.shown.insert(text.to_owned());
            }
            return Cow::Owned(given.text.clone());
        }
        if !text.contains("arn:") || !text.contains(char::is_whitespace) {
            return Cow::Borrowed(text);
        }
        let word = |word: &'t str| {
            let bare = word.trim_matches(|c: char| "()[]\"'`,.;:".contains(c));
            match self.given.get(bare) {
                Some(given) if !bare.is_empty() => {
                    if given.needs_legend {
                        self.shown.insert(bare.to_owned());
                    }
                    Cow::Owned(word.replacen(bare, &given.text, 1))
                }
                _ => Cow::Borrowed(word),
            }
        };
        Cow::Owned(text.split(' ').map(word).collect::<Vec<_>>().join(" "))
    }

    /// The account, Region and partition that short names leave out, in words; none where nothing was named.
    pub fn common_words(&self) -> Option<String> {
        let CommonPlace { partition, region, account, has_others } = &self.common;
        let parts = [("account ", account), ("", region), ("partition ", partition)];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(what, value)| format!("{what}{}", visible(value)))
            .collect();
        let opening = if *has_others { "unless a name says otherwise" } else { "in all rows" };
        (!parts.is_empty()).then(|| format!("{opening}: {}", parts.join(", ")))
    }

    /// True where a name was shown from which its ARN does not follow.
    pub fn has_legend(&self) -> bool {
        !self.shown.is_empty()
    }

    /// The names shown so far from which the ARN does not follow, each with its ARN, in the order of the ARNs.
    /// They are forgotten.
    pub fn take_legend(&mut self) -> Vec<(String, String)> {
        let shown = std::mem::take(&mut self.shown);
        let pair = |arn: &String| (visible(&self.given[arn].text).into_owned(), visible(arn).into_owned());
        shown.iter().map(pair).collect()
    }
}

impl ShortForm {
    fn plain(text: impl Into<String>) -> ShortForm {
        ShortForm { text: text.into(), needs_legend: false }
    }

    fn in_legend(text: impl Into<String>) -> ShortForm {
        ShortForm { text: text.into(), needs_legend: true }
    }
}

impl CommonPlace {
    /// The most frequent of each part; the first by name where two are as frequent.
    fn of(times_of: &BTreeMap<String, usize>) -> CommonPlace {
        let mut counts: [BTreeMap<&str, usize>; 3] = Default::default();
        for (text, times) in times_of {
            let Some(arn) = arn(text) else { continue };
            for (counts, part) in counts.iter_mut().zip([arn.partition, arn.region, arn.account]) {
                if !part.is_empty() {
                    *counts.entry(part).or_default() += times;
                }
            }
        }
        let most = |counts: &BTreeMap<&str, usize>| {
            let most = counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
            most.map(|(part, _)| (*part).to_owned()).unwrap_or_default()
        };
        CommonPlace {
            partition: most(&counts[0]),
            region: most(&counts[1]),
            account: most(&counts[2]),
            has_others: counts.iter().any(|parts| parts.len() > 1),
        }
    }

    /// The parts of an ARN's place that differ from the common one, each with a colon behind it.
    fn beside(&self, arn: &Arn<'_>) -> String {
        let parts =
            [(arn.partition, &self.partition), (arn.region, &self.region), (arn.account, &self.account)].into_iter();
        let others = parts.filter(|(part, common)| !part.is_empty() && part != common);
        others.map(|(part, _)| format!("{part}:")).collect()
    }
}

/// A role stands alone; every other kind of principal keeps its kind, so that a role named `root` is not the root user.
fn principal_forms(arn: &Arn<'_>, place: &str, forms: &mut Vec<ShortForm>) {
    let (kind, path_and_name) = arn.resource.split_once('/').unwrap_or(("", arn.resource));
    let has_path = kind != "assumed-role" && path_and_name.contains('/');
    let form = if has_path { ShortForm::in_legend } else { ShortForm::plain };
    let name = if has_path { path_and_name.rsplit('/').next().unwrap_or_default() } else { path_and_name };
    if kind == "role" && is_simple(name) && !matches!(name, "root" | "") {
        forms.push(form(format!("{place}{name}")));
    }
    if has_path && !name.is_empty() {
        forms.push(form(format!("{place}{kind}/…/{name}")));
    }
    forms.push(ShortForm::plain(format!("{place}{}", arn.resource)));
}

fn key_forms(arn: &Arn<'_>, place: &str, forms: &mut Vec<ShortForm>) {
    if let Some(id) = arn.kms_key_id() {
        let prefix = key_head(id) - KEY_HEAD;
        // A head that is nearly the whole id saves nothing.
        let heads =
            KEY_HEADS.iter().filter_map(|head| id.get(..head + prefix).filter(|head| head.len() + 1 < id.len()));
        forms.extend(heads.map(|head| ShortForm::in_legend(format!("{place}{head}…"))));
    }
    forms.push(ShortForm::plain(format!("{place}{}", arn.resource)));
}

/// True for the characters of the names that AWS lets people choose.
fn is_simple(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    const HOME: &str = "arn:aws:iam::111122223333:role/";
    const KEYS: &str = "arn:aws:kms:us-east-1:111122223333:key/";

    fn rows(texts: &[&str]) -> RecordBatch {
        RecordBatch::try_from_iter([("x", Arc::new(StringArray::from(texts.to_vec())) as ArrayRef)]).unwrap()
    }

    /// The short names of texts that stand on one screen, beside others that make the first account the common one.
    fn shown(texts: &[&str]) -> Vec<String> {
        let common: Vec<String> =
            (0..9).flat_map(|n| [format!("{HOME}x{n}"), format!("{KEYS}0000000{n}-12ab")]).collect();
        let mut names = ShortNames::default();
        names.meet(&[rows(&common.iter().map(String::as_str).collect::<Vec<_>>()), rows(texts)]);
        texts.iter().map(|text| names.shown(text).into_owned()).collect()
    }

    #[test]
    fn a_name_says_what_tells_it_apart() {
        for (whole, short) in [
            ("arn:aws:iam::111122223333:role/App", "App"),
            ("arn:aws:iam::111122223333:role/a/b/App", "App"),
            ("arn:aws:iam::111122223333:user/Ada", "user/Ada"),
            ("arn:aws:iam::111122223333:root", "root"),
            ("arn:aws:iam::111122223333:role/root", "role/root"),
            ("arn:aws:iam::111122223333:role/service:dynamodb", "role/service:dynamodb"),
            ("arn:aws:iam::444455556666:role/App", "444455556666:App"),
            ("arn:aws-cn:iam::444455556666:role/App", "aws-cn:444455556666:App"),
            ("arn:aws:sts::111122223333:assumed-role/App/session", "assumed-role/App/session"),
            ("arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "1234abcd…"),
            ("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "eu-west-1:1234abcd…"),
            ("arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab", "mrk-1234abcd…"),
            ("arn:aws:kms:us-east-1:111122223333:key/1", "key/1"),
            ("arn:aws:kms:us-east-1:111122223333:alias/a/b", "alias/a/b"),
            ("arn:aws:dynamodb:us-east-1:111122223333:table/orders", "orders"),
            ("arn:aws:dynamodb:us-east-1:111122223333:table/orders/index/by-day", "orders/index/by-day"),
            ("arn:aws:s3:::bucket/key", "s3:bucket/key"),
            ("service:dynamodb.amazonaws.com", "service:dynamodb.amazonaws.com"),
            ("arn:aws", "arn:aws"),
        ] {
            assert_eq!(shown(&[whole]), [short]);
        }
    }

    #[test]
    fn names_that_would_be_the_same_are_longer() {
        let (one, other) = ("1234abcd-12ab-34cd-56ef-1234567890ab", "1234abcd-12ab-34cd-56ef-1234567890ac");
        for (wholes, shorts) in [
            (
                ["role/a/App", "role/b/App"].map(|r| format!("arn:aws:iam::111122223333:{r}")),
                ["role/a/App", "role/b/App"],
            ),
            ([one, other].map(|id| format!("{KEYS}{id}")), [&*format!("key/{one}"), &*format!("key/{other}")]),
            (
                ["1234abcd-12ab-1", "1234abcd-34cd-1"].map(|id| format!("{KEYS}{id}")),
                ["1234abcd-12ab…", "1234abcd-34cd…"],
            ),
            // A table and a role may have one name: they are no names of one kind.
            (["arn:aws:dynamodb:us-east-1:111122223333:table/App".to_owned(), format!("{HOME}App")], ["App", "App"]),
            // Text beside ARNs keeps its form.
            (["App".to_owned(), format!("{HOME}App")], ["App", "role/App"]),
        ] {
            assert_eq!(shown(&wholes.each_ref().map(String::as_str)), shorts);
        }
    }

    #[test]
    fn a_later_name_makes_way() {
        let mut names = ShortNames::default();
        let (one, other) = (format!("{HOME}a/App"), format!("{HOME}b/App"));
        names.meet(&[rows(&[&one])]);
        names.meet(&[rows(&[&other])]);
        assert_eq!((&*names.shown(&one), &*names.shown(&other)), ("App", "role/…/App"));
        assert_eq!(names.take_legend(), [("App".to_owned(), one), ("role/…/App".to_owned(), other)]);
        assert!(!names.has_legend());
    }

    #[test]
    fn a_key_is_known_by_the_alias_that_names_it_alone() {
        let alias = |name: &str| format!("arn:aws:kms:us-east-1:111122223333:alias/{name}");
        let keys = ["1234abcd-12ab", "2345bcde-12ab", "3456cdef-12ab"].map(|id| format!("{KEYS}{id}"));
        let pairs = [("one", 0), ("uno", 0), ("moved", 1), ("moved", 2), ("bad\u{1b}name", 2)];
        let (aliases, named): (Vec<String>, Vec<String>) =
            pairs.iter().map(|(name, key)| (alias(name), keys[*key].clone())).unzip();
        let columns = [("alias_arn", aliases), ("key_arn", named)];
        let columns = columns.map(|(name, texts)| (name, Arc::new(StringArray::from(texts)) as ArrayRef));
        let mut names = ShortNames::with_aliases(&RecordBatch::try_from_iter(columns).unwrap());
        names.meet(&[rows(&keys.each_ref().map(String::as_str))]);
        assert_eq!(keys.each_ref().map(|key| names.shown(key)), ["alias/one", "2345bcde…", "3456cdef…"]);
    }

    #[test]
    fn arns_in_prose_have_their_names() {
        let key = format!("{KEYS}1234abcd-12ab");
        let mut names = ShortNames::default();
        names.meet(&[rows(&[&key])]);
        for (text, short) in [
            (format!("{key} is disabled."), "1234abcd… is disabled."),
            (format!("no use of ({key})."), "no use of (1234abcd…)."),
            (format!("{KEYS}0 is disabled"), &*format!("{KEYS}0 is disabled")),
        ] {
            assert_eq!(names.shown(&text), short);
        }
    }
}
