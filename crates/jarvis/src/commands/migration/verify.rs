use super::Files;
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, spinner};
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::migrations::{self, Verification};
use secrecy::SecretString;
use std::fmt::Write as _;

/// What to compare with.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// An empty database of the same PostgreSQL version to build the comparison in (rolled back); without it a database
    /// is made beside the one that is verified, and dropped again
    #[arg(
        long,
        env = "JARVIS_SCRATCH_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    scratch_url: Option<SecretString>,
    #[command(flatten)]
    files: Files,
}

pub(super) async fn run(global: &Global, out: Output, arguments: &Arguments) -> anyhow::Result<Done> {
    let source = arguments.files.source()?;
    let admin = connection::urls(global)?.admin;
    let waiting = spinner("comparing with what the migrations make");
    let found = migrations::verify(&admin, &source, arguments.scratch_url.as_ref(), SystemClock.now()).await;
    waiting.finish_and_clear();
    let found = found?;
    out.data(&found, as_text)?;
    Ok(if found.findings.is_empty() {
        Done::Ok
    } else {
        Done::Findings
    })
}

fn as_text(found: &Verification) -> String {
    let mut text = String::new();
    for finding in &found.findings {
        let told = finding.problem.strip_prefix(&finding.subject);
        let problem = told.map_or_else(|| format!(": {}", finding.problem), str::to_owned);
        write!(
            text,
            "{}{problem}\n  mend: {}\n",
            finding.subject,
            finding.mend.replace('\n', "\n        ")
        )
        .expect("writing to a string cannot fail");
    }
    let verdict = match found.findings.len() {
        0 if found.migrations == 0 => "nothing is applied yet; see `jarvis migration up`".to_owned(),
        0 => "all as the migrations make it".to_owned(),
        1 => "1 finding".to_owned(),
        n => format!("{n} findings"),
    };
    write!(
        text,
        "{} migrations, {} objects: {verdict}",
        found.migrations, found.objects
    )
    .expect("writing to a string cannot fail");
    if !found.extras.is_empty() {
        write!(
            text,
            "\n{} objects are not ours and are left as they are: {}",
            found.extras.len(),
            found.extras.join(", ")
        )
        .expect("writing to a string cannot fail");
    }
    text
}
