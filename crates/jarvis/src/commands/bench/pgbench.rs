//! pgbench, which sends statements over and over.

use crate::failure::WithHint;
use anyhow::{Context as _, ensure};
use jarvis_db::bench::rest_ground;
use jarvis_rest::run::Rehearsed;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgConnection;
use std::fmt::Write as _;
use std::path::PathBuf;
use tokio::process::Command;

/// Where it is, and the database it asks.
pub struct Pgbench {
    program: PathBuf,
    url: reqwest::Url,
}

/// A transaction in its language.
pub struct Script {
    text: String,
    variables: Vec<(String, String)>,
}

impl Pgbench {
    /// Beside the PostgreSQL that runs, else wherever programs are.
    pub async fn find(admin: &mut PgConnection, url: &SecretString) -> anyhow::Result<Self> {
        let folder = rest_ground::programs(admin).await?;
        let beside = PathBuf::from(folder).join("pgbench");
        let program = if beside.is_file() {
            beside
        } else {
            PathBuf::from("pgbench")
        };
        let ran = Command::new(&program).arg("--version").output().await;
        if !ran.is_ok_and(|output| output.status.success()) {
            return Err(WithHint {
                problem: "pgbench was found neither beside PostgreSQL nor on the path".to_owned(),
                hint: "install it, for instance from the package postgresql-contrib or postgresql-client, and put it on the path".to_owned(),
            }
            .into());
        }
        Ok(Self {
            program,
            url: reqwest::Url::parse(url.expose_secret()).context("the address of the database")?,
        })
    }

    /// The statements with a variable for each parameter.
    pub fn script(statements: &[Rehearsed]) -> anyhow::Result<Script> {
        let mut script = Script {
            text: String::new(),
            variables: Vec::new(),
        };
        for (place, statement) in statements.iter().enumerate() {
            let name = |number: usize| format!("p{place}_{number}");
            // The last first, since `$1` begins `$10`.
            let mut text = statement.text.replace('\n', " ");
            for (index, value) in statement.params.iter().enumerate().rev() {
                let number = index + 1;
                let value = value.clone().context("pgbench knows no null parameter")?;
                // It has no empty variables either.
                let written = if value.is_empty() {
                    "''".to_owned()
                } else {
                    format!(":{}", name(number))
                };
                text = text.replace(&format!("${number}"), &written);
                if !value.is_empty() {
                    script.variables.push((name(number), value));
                }
            }
            writeln!(script.text, "{text};")?;
        }
        Ok(script)
    }

    /// Transactions per second.
    pub async fn run(&self, script: &Script, clients: u8, seconds: u16) -> anyhow::Result<f64> {
        let file = std::env::temp_dir().join(format!("jarvis-pgbench-{}.sql", std::process::id()));
        std::fs::write(&file, &script.text).with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = Command::new(&self.program);
        command
            .args(["--no-vacuum", "--protocol=prepared", "--file"])
            .arg(&file)
            .arg(format!("--client={clients}"))
            .arg(format!("--time={seconds}"))
            .env("PGHOST", self.url.host_str().unwrap_or("127.0.0.1"))
            .env("PGPORT", self.url.port().unwrap_or(5432).to_string())
            .env("PGUSER", self.url.username())
            .env("PGPASSWORD", self.url.password().unwrap_or_default())
            .env("PGDATABASE", self.url.path().trim_start_matches('/'))
            .kill_on_drop(true);
        for (name, value) in &script.variables {
            command.arg(format!("--define={name}={value}"));
        }
        let output = command.output().await;
        // A file in the temporary folder that stays harms nobody.
        let _ = std::fs::remove_file(&file);
        let output = output.context("pgbench does not start")?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "pgbench failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let tps = said.lines().find_map(|line| line.strip_prefix("tps = "));
        let figure = tps.and_then(|line| line.split(' ').next()?.parse().ok());
        figure.with_context(|| format!("pgbench told no figure: {said}"))
    }
}
