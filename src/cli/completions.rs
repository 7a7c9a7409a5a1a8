//! `keytrail completions SHELL`: the script that completes verbs and flags in a shell.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::exit::{Failure, RunExitCode};
use crate::output::OutputTarget;

#[derive(Args, Debug, Clone)]
#[command(
    after_help = "Examples:\n  keytrail completions bash > ~/.local/share/bash-completion/completions/keytrail\n  keytrail completions zsh > \"${fpath[1]}/_keytrail\"\n  keytrail completions fish > ~/.config/fish/completions/keytrail.fish"
)]
pub struct CompletionsArgs {
    /// The shell to write for
    pub shell: Shell,
}

pub fn run(args: &CompletionsArgs) -> Result<RunExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "keytrail", &mut script);
    let mut target = OutputTarget::stdout();
    target.write_all(&script).map_err(|e| Failure::write(&e))?;
    target.commit()?;
    Ok(RunExitCode::Done)
}
