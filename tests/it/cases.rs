//! Questions that people had of real logs, with the right answers decided beforehand.
//! In: `tests/cases/NAME/case`, prose and then blocks of a command, the lines it prints and the code it ends with, beside
//! the logs that it reads. Out: the blocks that end otherwise. No blessing writes an answer.

use std::fs;
use std::path::Path;

use crate::child::{on_every_core, root, shell_line_in};

/// A command and how it must end.
struct Block<'t> {
    command: &'t str,
    stdout: String,
    code: i32,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            blocks.push(Block { command, stdout: String::new(), code: 0 });
        } else if let Some(block) = blocks.last_mut() {
            match line.strip_prefix("exit ").and_then(|code| code.parse().ok()) {
                Some(code) => block.code = code,
                None => block.stdout += &format!("{line}\n"),
            }
        }
    }
    blocks
}

/// What a block prints and ends with beyond what it must, if anything.
fn difference(folder: &Path, block: &Block<'_>) -> Option<String> {
    let ended = shell_line_in(block.command, folder);
    let (found, wanted) = (ended.text().trim_end(), block.stdout.trim_end());
    let is_right = found == wanted && ended.code == Some(block.code);
    let name = folder.file_name().unwrap_or_default().display();
    (!is_right).then(|| {
        let Block { command, code, .. } = block;
        format!("{name}\n$ {command}\nwanted, exit {code}:\n{wanted}\nfound, {}:\n{found}\n", ended.story())
    })
}

#[test]
fn cases_are_answered_as_they_should_be() {
    let mut folders: Vec<_> = fs::read_dir(root().join("tests/cases")).unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    let wrong = on_every_core(&folders, |folder| {
        let text = fs::read_to_string(folder.join("case")).unwrap();
        let blocks = blocks(&text);
        assert!(!blocks.is_empty(), "{} asks nothing", folder.display());
        blocks.iter().filter_map(|block| difference(folder, block)).collect::<Vec<_>>()
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} blocks are wrong\n{}", wrong.len(), wrong.join("\n"));
}
