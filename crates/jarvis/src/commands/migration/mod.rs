//! `jarvis migration`: the schema's history. One verb, one file.

mod adopt;
mod cleanup;
mod down;
mod legacy;
mod list;
mod new;
mod repair;
mod up;
mod verify;

use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, table};
use jarvis_core::Purpose;
use jarvis_db::migrations::Source;
use std::borrow::Cow;
use std::path::PathBuf;
use std::str::FromStr;

/// Migrations are the numbered files of `supabase/migrations`, recorded as the Supabase CLI records them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show every migration, known here and on record there
    List(list::Arguments),
    /// Apply what is pending
    Up(up::Arguments),
    /// Undo the newest migrations; says which rows would be lost
    Down(down::Arguments),
    /// Take over a database that runs the predecessor's schema; without --yes, a plan
    Adopt(adopt::Arguments),
    /// Import what the predecessor left: members, conversation logs, audio events
    Legacy(legacy::Arguments),
    /// Drop the predecessor's tables, once every row of them is accounted for
    Cleanup(cleanup::Arguments),
    /// Write an empty migration and its down
    New(new::Arguments),
    /// Say in the history that versions are applied or not; nothing is run
    Repair(repair::Arguments),
    /// Compare the database with what its applied migrations make; exit code 3 on a difference
    Verify(verify::Arguments),
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::List(arguments) => list::run(global, out, &arguments).await,
        Command::Up(arguments) => up::run(global, out, &arguments).await,
        Command::Down(arguments) => down::run(global, out, &arguments).await,
        Command::Adopt(arguments) => adopt::run(global, out, arguments).await,
        Command::Legacy(arguments) => legacy::run(global, out, &arguments).await,
        Command::Cleanup(arguments) => cleanup::run(global, out, &arguments).await,
        Command::New(arguments) => new::run(out, &arguments),
        Command::Repair(arguments) => repair::run(global, out, &arguments).await,
        Command::Verify(arguments) => verify::run(global, out, &arguments).await,
    }
}

/// Which migrations are meant.
#[derive(Debug, clap::Args)]
struct Files {
    /// Take the migrations of this folder instead of the program's own: a copy of theirs, with yours beside them
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Files {
    fn source(&self) -> anyhow::Result<Cow<'static, Source>> {
        Ok(match &self.dir {
            Some(dir) => Cow::Owned(Source::like_embedded(dir)?),
            None => Cow::Borrowed(Source::embedded()),
        })
    }
}

/// `imported:` and purposes: the word says that nobody asked the members here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stated(Vec<Purpose>);

impl FromStr for Stated {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let purposes = text
            .strip_prefix("imported:")
            .ok_or("write imported: and then the purposes, such as imported:memory,voice")?;
        let mut stated = Vec::new();
        for purpose in purposes.split(',') {
            let purpose: Purpose = purpose.trim().parse().map_err(|e| format!("{e}"))?;
            if !stated.contains(&purpose) {
                stated.push(purpose);
            }
        }
        Ok(Self(stated))
    }
}

/// A migration and what became of it.
#[derive(serde::Serialize)]
struct Line {
    version: String,
    name: String,
    state: String,
}

impl Line {
    fn new(version: String, name: String, state: &str) -> Self {
        Self {
            version,
            name,
            state: state.to_owned(),
        }
    }
}

fn lines_as_table(lines: &[Line]) -> String {
    let rows = lines
        .iter()
        .map(|l| [l.version.clone(), l.name.clone(), l.state.clone()]);
    table(["version", "name", "state"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_purposes_in_any_order_are_stated_once_each(
            picks in proptest::collection::vec(proptest::sample::select(Purpose::ALL.to_vec()), 1..9),
            space in " {0,2}",
        ) {
            let words: Vec<String> = picks.iter().map(|p| format!("{space}{p}{space}")).collect();
            let Stated(stated) = format!("imported:{}", words.join(",")).parse::<Stated>().unwrap();
            let mut first_times = picks.clone();
            first_times.retain({
                let mut seen = Vec::new();
                move |p| !seen.contains(p) && { seen.push(*p); true }
            });
            prop_assert_eq!(stated, first_times);
        }

        #[test]
        fn nobody_states_consents_without_saying_that_they_are_imported(text in "(import|imported|asked:)?[a-z_,: ]{0,24}") {
            if let Ok(Stated(stated)) = text.parse::<Stated>() {
                prop_assert!(text.starts_with("imported:") && !stated.is_empty());
            }
        }
    }

    #[test]
    fn a_statement_says_that_it_is_imported_and_names_each_purpose_once() {
        let stated = "imported:memory, health_memory,memory".parse::<Stated>();
        assert_eq!(stated, Ok(Stated(vec![Purpose::Memory, Purpose::HealthMemory])));
        for wrong in ["memory", "imported:", "imported:everything", ""] {
            assert!(wrong.parse::<Stated>().is_err(), "{wrong}");
        }
    }
}
