//! `keytrail man`: the manual as roff, one page for keytrail and one for each verb behind it.

use std::io::{self, Write};

use clap::{Args, CommandFactory};

use super::Cli;
use super::exit::{Failure, RunExitCode};
use crate::output::OutputTarget;

#[derive(Args, Debug, Clone)]
#[command(after_help = "Examples:\n  keytrail man | man -l -\n  keytrail man > ~/.local/share/man/man1/keytrail.1")]
pub struct ManArgs {}

pub fn run() -> Result<RunExitCode, Failure> {
    let mut target = OutputTarget::stdout();
    pages(&mut target).map_err(|e| Failure::write(&e))?;
    target.commit()?;
    Ok(RunExitCode::Done)
}

fn pages(to: &mut impl Write) -> io::Result<()> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    clap_mangen::Man::new(command.clone()).render(to)?;
    for verb in command.get_subcommands() {
        let name = format!("keytrail-{}", verb.get_name());
        // The man page's title must be one word; the usage line keeps `keytrail audit`.
        clap_mangen::Man::new(verb.clone()).title(name).render(to)?;
    }
    Ok(())
}
