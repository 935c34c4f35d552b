//! `jarvis gen types`: types of another language for what the database holds.

use crate::connection;
use crate::failure::{Done, WithHint, WrongUse};
use crate::global::Global;
use crate::output::{Output, talk};
use jarvis_rest::types::{Catalogue, ReadError};
use secrecy::ExposeSecret as _;
use serde_json::json;
use std::path::PathBuf;

/// What can be written.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write the types of tables, views, functions and enums, for supabase-js or for Rust
    #[command(after_help = EXAMPLES)]
    Types(Arguments),
}

const EXAMPLES: &str = "\
The TypeScript is what `supabase gen types` prints, after formatting. The Rust needs serde and serde_json. Any PostgreSQL will do, and any login: types are made of
what it may use. Nothing is written to the database.

Examples:
  jarvis gen types --output lib/database.types.ts
  jarvis gen types --lang rust --output src/database.rs
  jarvis gen types --schema public,personal | npx prettier --parser typescript
  DATABASE_URL=postgres://reader:…@host/db jarvis gen types --schema sales";

/// Which types, and where to.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The language
    #[arg(long, value_enum, default_value_t = Language::Typescript)]
    lang: Language,
    /// The schemas, separated by commas
    #[arg(
        long = "schema",
        value_delimiter = ',',
        default_value = "public",
        value_name = "NAMES"
    )]
    schemas: Vec<String>,
    /// The file to write; standard output without it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A language that types can be written in.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Language {
    /// For supabase-js
    Typescript,
    /// For serde and serde_json
    Rust,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    let Command::Types(arguments) = command;
    let urls = connection::urls(global)?;
    let read = Catalogue::read(urls.admin.expose_secret(), &arguments.schemas).await;
    let catalogue = read.map_err(refused)?;
    let text = match arguments.lang {
        Language::Typescript => catalogue.typescript(),
        Language::Rust => catalogue.rust(),
    };
    let Some(file) = arguments.output else {
        out.data(&json!({ "types": text }), |_| text.clone())?;
        return Ok(Done::Ok);
    };
    std::fs::write(&file, &text).map_err(|error| WithHint {
        problem: format!("cannot write {}: {error}", file.display()),
        hint: "see that its folder is there and may be written".to_owned(),
    })?;
    if out.is_json() {
        out.data(&json!({ "file": file, "bytes": text.len() }), |_| String::new())?;
    } else {
        talk(&format!("wrote {}", file.display()));
    }
    Ok(Done::Ok)
}

fn refused(error: ReadError) -> anyhow::Error {
    match error {
        ReadError::NoSuchSchema { .. } => WrongUse(error.to_string()).into(),
        ReadError::Database(error) => jarvis_db::DbError::from(error).into(),
    }
}
