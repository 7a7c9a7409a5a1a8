//! Holds the manifests to their own comments: crates that stand twice agree, and no entry outlives its reason.
//! In: the text of `Cargo.toml`, `pins/Cargo.toml` and `Cargo.lock`. Out: a list of the entries that do not agree.
//! Never runs cargo.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::child::root;

/// Crates at level 3 in `release` alone: they compile slowly at it, and only an installed binary is worth the wait.
/// `keytrail-rows` is at 3 in both profiles, but its line in `dev` says more.
const RELEASE_ONLY: [&str; 4] = ["arrow-ord", "arrow-select", "datafusion-physical-plan", "keytrail-rows"];

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The lines of a table up to the next one, without comments and empty lines.
fn table<'t>(manifest: &'t str, head: &str) -> Vec<&'t str> {
    let lines = manifest.lines().skip_while(|line| *line != head).skip(1).take_while(|line| !line.starts_with('['));
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// The crates of a profile that have a line of their own with only a level, in their order.
fn levels<'t>(manifest: &'t str, profile: &str) -> Vec<(&'t str, &'t str)> {
    let lines = table(manifest, &format!("[profile.{profile}.package]"));
    lines.into_iter().filter_map(|line| line.split_once(".opt-level = ")).collect()
}

/// Names of packages in the lock file, each with the names that it depends on.
fn locked(lock: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut packages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let name = package.lines().find_map(|line| line.strip_prefix("name = ")).unwrap().trim_matches('"');
        let listed = package.lines().filter_map(|line| line.strip_prefix(" \"")?.split(['"', ' ']).next());
        packages.entry(name).or_default().extend(listed);
    }
    packages
}

#[test]
fn both_profiles_optimize_the_same_crates() {
    let manifest = read("Cargo.toml");
    let at_3 =
        |profile| levels(&manifest, profile).into_iter().filter(|(_, level)| *level == "3").map(|(name, _)| name);
    let dev: BTreeSet<&str> = at_3("dev").collect();
    let release: BTreeSet<&str> = at_3("release").collect();
    assert!(dev.len() > 10, "hardly a crate is found: {dev:?}");
    assert_eq!(&release - &dev, BTreeSet::from(RELEASE_ONLY), "in release alone");
    assert_eq!(&dev - &release, BTreeSet::new(), "in dev alone");
}

#[test]
fn profiles_are_sorted_and_name_what_is_there() {
    let (manifest, lock) = (read("Cargo.toml"), read("Cargo.lock"));
    let packages = locked(&lock);
    for profile in ["dev", "release"] {
        let levels = levels(&manifest, profile);
        let unknown: Vec<_> = levels.iter().filter(|(name, _)| !packages.contains_key(name)).collect();
        assert!(unknown.is_empty(), "{profile} names what is not compiled: {unknown:?}");
        for level in ["3", "\"s\""] {
            let names: Vec<&str> = levels.iter().filter(|(_, l)| *l == level).map(|(name, _)| *name).collect();
            assert!(names.is_sorted_by(|a, b| a < b), "{profile} is not sorted at {level}: {names:?}");
        }
    }
}

/// A crate is pinned because other crates need it; otherwise it would be compiled for nothing.
#[test]
fn pins_are_of_crates_that_others_need() {
    let (pins, lock) = (read("pins/Cargo.toml"), read("Cargo.lock"));
    let packages = locked(&lock);
    let pinned: Vec<&str> = table(&pins, "[dependencies]").iter().map(|l| l.split(' ').next().unwrap()).collect();
    assert!(!pinned.is_empty(), "no pin is found");
    let is_needed = |pin: &str| packages.iter().any(|(name, needs)| *name != "keytrail-pins" && needs.contains(pin));
    let idle: Vec<&str> = pinned.into_iter().filter(|pin| !is_needed(pin)).collect();
    assert!(idle.is_empty(), "nobody needs {idle:?}: take the pin away");
}
