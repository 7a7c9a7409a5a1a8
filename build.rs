//! Lists the SQL files of `queries/`, so that the folder alone decides which files ship.
//! In: the folder. Out: `queries.rs` in OUT_DIR, an array of the top folder, the name and the text of every file, which
//! `src/sql/cards.rs` includes. Never interprets a file.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn Error>> {
    let queries = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("queries");
    // A folder stands for everything in it.
    println!("cargo:rerun-if-changed=queries");
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = Vec::new();
    collect(&queries, &mut files)?;
    files.sort();
    let mut list = String::from("[\n");
    for file in &files {
        let within = file.strip_prefix(&queries)?;
        let folder = within.parent().and_then(|parent| parent.iter().next()).unwrap_or_default();
        let name = within.file_stem().unwrap_or_default();
        writeln!(list, "    ({folder:?}, {name:?}, include_str!({file:?})),")?;
    }
    list.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("queries.rs"), list)?;
    Ok(())
}

/// Collects every `.sql` file in a folder and below it, except hidden files, which editors leave behind.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    Ok(())
}
