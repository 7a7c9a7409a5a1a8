//! Trees on disk, and their listings.

use super::super::object::open_regular;
use super::super::{ListingEntry, ObjectReadError, list_local as list};
use super::*;
use crate::objects::{FaultReason, SkipReason};
use std::os::unix::fs::symlink;

fn tree(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    root
}

/// Paths below the root, each with its entry.
fn listed(root: &Path, locations: &[&str], scope: &Scope) -> Vec<(String, ListingEntry)> {
    let locations: Vec<_> = locations.iter().map(|path| Location::Path(root.join(path))).collect();
    let listing = list(&locations, scope).unwrap();
    let top = format!("{}/", root.display());
    let all = (0..listing.len()).map(|i| (listing.uri(i), listing.entry(i)));
    all.map(|(uri, entry)| (uri.strip_prefix(&top).unwrap_or(&uri).to_owned(), entry)).collect()
}

fn paths(root: &Path, locations: &[&str]) -> Vec<String> {
    listed(root, locations, &Scope::default()).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn order_is_by_full_path_and_overlaps_count_once() {
    let files = ["a.json", "a/b.json", "a-b/c.json", "a/a/d.json", "a0/e.json", "b/f.json", "a/z.txt"];
    let root = tree(&files);
    let mut expected = files.map(str::to_owned).to_vec();
    expected.sort();
    for locations in [
        &[""][..],
        &["", ""],
        &["a", "", "b/f.json"],
        &["b", "a/../a", "a.json", "a-b/c.json", "a0", "a-b/../a-b"],
        &["./", "a/a/../b.json"],
    ] {
        let found = listed(root.path(), locations, &Scope::default());
        let mut real: Vec<_> = found.iter().map(|(path, _)| root.path().join(path).canonicalize().unwrap()).collect();
        real.sort();
        let all: Vec<_> = expected.iter().map(|path| root.path().canonicalize().unwrap().join(path)).collect();
        let mut all_sorted = all.clone();
        all_sorted.sort();
        assert_eq!(real, all_sorted, "{locations:?}");
        assert!(found.is_sorted_by(|a, b| a.0 < b.0), "{locations:?} {found:?}");
    }
    assert_eq!(paths(root.path(), &[""]), expected);
}

#[test]
fn a_named_file_is_always_read() {
    let root = tree(&["x.zip", "y.csv", ".h.json", "z.json.part", "n.json", "without-ending"]);
    fs::write(root.path().join("mark"), "").unwrap();
    let skipped = ListingEntry::Skipped(SkipReason::NotLogName);
    let found = listed(root.path(), &["", "x.zip", ".h.json"], &Scope::default());
    let expected = [
        (".h.json", ListingEntry::Log),
        ("mark", skipped),
        ("n.json", ListingEntry::Log),
        ("without-ending", ListingEntry::ByContent),
        ("x.zip", ListingEntry::Log),
        ("y.csv", ListingEntry::ByContent),
        ("z.json.part", skipped),
    ];
    assert_eq!(found, expected.map(|(path, entry)| (path.to_owned(), entry)));
}

#[test]
fn scope_prunes_before_opening_and_siblings_are_skipped() {
    let day = |kind: &str, day: u32| format!("AWSLogs/111122223333/{kind}/eu-west-1/2026/03/{day:02}/f.json.gz");
    let files = [
        day("CloudTrail", 9),
        day("CloudTrail", 10),
        day("CloudTrail", 13),
        day("CloudTrail", 14),
        day("CloudTrail-Aggregated", 10),
        day("CloudTrail-Digest", 10),
        day("CloudTrail-Digest", 20),
        day("CloudTrail-Insight", 10),
        day("CloudTrail-NetworkActivity", 10),
        "AWSLogs/999988887777/CloudTrail/eu-west-1/2026/03/10/f.json.gz".to_owned(),
        "other/2026/03/01/f.json.gz".to_owned(),
    ];
    let root = tree(&files.each_ref().map(String::as_str));
    let march = |day: i64| Some((20_512 + day) * 86_400_000_000); // 20,512: the last day of February 2026
    let scope = Scope {
        since: march(10),
        until: march(12),
        accounts: vec!["111122223333".into()],
        late_days: 2,
        ..Scope::default()
    };
    let expected = [
        (day("CloudTrail-Aggregated", 10), ListingEntry::Skipped(SkipReason::Aggregated)),
        (day("CloudTrail-Digest", 10), ListingEntry::Skipped(SkipReason::Digest)),
        (day("CloudTrail-Insight", 10), ListingEntry::Skipped(SkipReason::Insight)),
        (day("CloudTrail-NetworkActivity", 10), ListingEntry::Log),
        (day("CloudTrail", 10), ListingEntry::Log),
        (day("CloudTrail", 13), ListingEntry::Log),
        ("other/2026/03/01/f.json.gz".to_owned(), ListingEntry::Log),
    ];
    assert_eq!(listed(root.path(), &[""], &scope), expected);
    let listing = list(&[Location::Path(root.path().to_owned())], &scope).unwrap();
    assert_eq!(listing.pruned().directories, 4);
    let account = |i| listing.account(i);
    assert_eq!((account(4).as_deref(), account(6)), (Some("111122223333"), None));
}

#[test]
fn a_folder_of_a_service_is_skipped_whatever_lies_in_it() {
    let files = [
        "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/notes.txt",
        "AWSLogs/111122223333/CloudTrail-Lake/Query/2026/03/02/id/result_1.csv.gz",
        "AWSLogs/111122223333/CloudTrail-Newer/eu-west-1/x.json.gz",
        "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/02/f.json.gz",
        "AWSLogs/111122223333/Config/ConfigWritabilityCheckFile",
        "AWSLogs/111122223333/VPCLattice/x.json.gz",
    ];
    let root = tree(&files);
    let [skipped, other] = [SkipReason::NotLogName, SkipReason::OtherLog].map(ListingEntry::Skipped);
    let entries = [skipped, other, ListingEntry::ByContent, ListingEntry::Log, other, other];
    let expected: Vec<_> = files.iter().map(|path| (*path).to_owned()).zip(entries).collect();
    assert_eq!(listed(root.path(), &[""], &Scope::default()), expected);
}

#[test]
fn objects_that_name_no_organization_are_left_out_and_counted() {
    let day = "111122223333/CloudTrail/eu-west-1/2026/03/02/f.json.gz";
    let files = [
        format!("AWSLogs/o-abcde12345/{day}"),
        format!("AWSLogs/o-abcde54321/{day}"),
        format!("AWSLogs/{day}"),
        format!("AWSLogs/copy/{day}"),
        format!("o-abcde12345/AWSLogs/{day}"),
        "notes.txt".to_owned(),
    ];
    let root = tree(&files.each_ref().map(String::as_str));
    symlink("nowhere", root.path().join("gone.json")).unwrap();
    let scope = Scope { org_ids: vec!["o-abcde12345".into()], ..Scope::default() };
    let locations = |paths: &[&str]| {
        let mut all: Vec<_> = paths.iter().map(|path| Location::Path(root.path().join(path))).collect();
        all.push(Location::Stdin);
        all
    };
    // A file that is named is held to the organization too, and counts once.
    for (paths, kept, without) in [
        (&[""][..], 2, 5),
        (&["", "notes.txt", files[2].as_str()], 2, 5),
        (&[files[0].as_str(), files[1].as_str(), files[2].as_str()], 1, 2),
    ] {
        let listing = list(&locations(paths), &scope).unwrap();
        let pruned = listing.pruned();
        assert_eq!((listing.len(), pruned.without_organization), (kept, without), "{paths:?} {pruned:?}");
    }
}

#[test]
fn links_and_devices_are_refused() {
    let root = tree(&["t/real/r.json.gz", "t/dir.json.gz/x.json", "out.json"]);
    let t = root.path().join("t");
    for (name, target, _) in LINKS {
        symlink(target, t.join(name)).unwrap();
    }
    let socket = std::os::unix::net::UnixListener::bind(t.join("socket.json")).unwrap();
    let mut expected: Vec<_> = LINKS.map(|(name, _, code)| (format!("t/{name}"), ListingEntry::Refused(code))).to_vec();
    expected.push(("t/dir.json.gz".into(), ListingEntry::Refused(FaultReason::NotRegularFile)));
    expected.push(("t/socket.json".into(), ListingEntry::Refused(FaultReason::NotRegularFile)));
    expected.push(("t/real/r.json.gz".into(), ListingEntry::Log));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(listed(root.path(), &["t"], &Scope::default()), expected);
    drop(socket);
    for (name, target, code) in LINKS {
        assert!(open_regular(&t.join(name)).is_err(), "{name}");
        let found = listed(root.path(), &[&format!("t/{name}")], &Scope::default());
        let follows = target == "real/r.json.gz" || target == "../out.json";
        if follows {
            assert_eq!(found[0].1, ListingEntry::Log, "the user may name a link: {name}");
        } else if ![FaultReason::SymlinkEscape, FaultReason::SymlinkInside].contains(&code) && name != "up" {
            assert_eq!(found[0].1, ListingEntry::Refused(code), "{name}");
        }
    }
    let named = list(&[Location::Path(t.join("escape.json")), Location::Path(t.clone())], &Scope::default()).unwrap();
    let at = (0..named.len()).find(|i| named.uri(*i).ends_with("/escape.json")).unwrap();
    assert_eq!(named.entry(at), ListingEntry::Log);
    assert!(named.object(at).open().is_ok());
    assert_eq!(named.len(), expected.len());
}

const LINKS: [(&str, &str, FaultReason); 11] = [
    ("self.json.gz", "self.json.gz", FaultReason::SymlinkLoop),
    ("a.json.gz", "b.json.gz", FaultReason::SymlinkLoop),
    ("b.json.gz", "a.json.gz", FaultReason::SymlinkLoop),
    ("up", ".", FaultReason::SymlinkLoop),
    ("top", "/", FaultReason::SymlinkEscape),
    ("escape.json", "../out.json", FaultReason::SymlinkEscape),
    ("gone.json.gz", "nowhere", FaultReason::SymlinkDangling),
    ("zero.json.gz", "/dev/zero", FaultReason::NotRegularFile),
    ("mem.json.gz", "/proc/self/mem", FaultReason::NotRegularFile),
    ("inside.json.gz", "real/r.json.gz", FaultReason::SymlinkInside),
    ("folder", "real", FaultReason::SymlinkInside),
];

#[test]
fn names_survive_as_they_are() {
    let root = tree(&["new\nline.json", "50%.json", "café.json"]);
    let odd = root.path().join(OsStr::from_bytes(b"\xff\xfe.json"));
    fs::write(&odd, "x").unwrap();
    assert_eq!(paths(root.path(), &[""]), ["50%.json", "café.json", "new\nline.json", "%FF%FE.json"]);
    let listing = list(&[Location::Path(root.path().to_owned())], &Scope::default()).unwrap();
    assert_eq!((listing.object(3).path(), listing.bytes(3)), (odd, 1));
    assert!((0..4).all(|i| listing.object(i).open().is_ok()));
}

#[test]
fn a_file_that_changes_after_its_listing_is_no_log_any_more() {
    use std::io::{Read, Write};
    type Change = fn(&Path);
    let append: Change = |path| fs::File::options().append(true).open(path).unwrap().write_all(b"x").unwrap();
    let rewrite: Change = |path| {
        let time = fs::metadata(path).unwrap().modified().unwrap() + std::time::Duration::from_secs(1);
        fs::write(path, "b.json").unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    let replace: Change = |path| {
        let (next, time) = (path.with_extension("next"), fs::metadata(path).unwrap().modified().unwrap());
        fs::write(&next, "a.json").unwrap();
        fs::File::options().write(true).open(&next).unwrap().set_modified(time).unwrap();
        fs::rename(next, path).unwrap();
    };
    let is_changed = |error: io::Error| matches!(ObjectReadError::of(&error), Some(ObjectReadError::Changed));
    for location in ["", "a.json"] {
        for change in [append, rewrite, replace] {
            let root = tree(&["a.json"]);
            let path = root.path().join("a.json");
            let listing = || list(&[Location::Path(root.path().join(location))], &Scope::default()).unwrap();
            let (before, during) = (listing(), listing());
            let mut file = during.object(0).open().unwrap();
            let mut bytes = [0; 6];
            file.read_exact(&mut bytes).unwrap();
            change(&path);
            assert!(is_changed(before.object(0).open().err().unwrap()), "between");
            assert!(is_changed(file.read_to_end(&mut Vec::new()).unwrap_err()), "while it is read");
            assert!(listing().object(0).open().unwrap().read_to_end(&mut Vec::new()).is_ok());
        }
    }
}

#[test]
fn a_missing_path_is_an_error_and_stdin_is_an_entry() {
    let root = tree(&["a.json"]);
    for path in ["nowhere", "a.json/x"] {
        let error = list(&[Location::Path(root.path().join(path))], &Scope::default()).unwrap_err();
        assert!(matches!(error, SourceError::NotFound { .. }) && !error.is_usage(), "{path}");
    }
    let listing = list(&[Location::Stdin, Location::Stdin], &Scope::default()).unwrap();
    assert_eq!((listing.len(), listing.uri(0).as_str(), listing.is_stdin(0)), (1, "-", true));
}

#[test]
fn a_folder_that_vanished_is_reported_with_a_slash() {
    let root = tempfile::tempdir().unwrap();
    let wanted = ScopeFilter::new(&Scope::default());
    let mut walk = LocalWalk::new(Vec::new(), wanted, ListingBuilder::default());
    let folder = LocalFolder {
        shown: root.path().join("gone"),
        real: root.path().join("gone"),
        root: root.path(),
        place: KeyPosition::default(),
    };
    let mut part = ListingPart::default();
    walk.folder(&folder, &mut part).unwrap();
    walk.builder.add(part);
    let listing = walk.builder.finish().unwrap();
    assert_eq!((listing.entry(0), listing.uri(0).ends_with("/gone/")), (ListingEntry::Missing, true));
}
