//! A PostgreSQL that is thrown away, to ask what a query returns.
//!
//! The tests have their own in `jarvis-testkit`. This one uses no crate of the house: a query that is not described
//! yet keeps the house from building, and must not keep us from describing it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{Uid, User};

/// How long the server may take to answer after its start.
const PATIENCE: Duration = Duration::from_mins(1);
/// Durability is what a database that is thrown away does not need.
const SETTINGS: &[&str] = &[
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_connections=200",
    "listen_addresses=127.0.0.1",
    "timezone=UTC",
];

/// A running server and its folder; dropping it stops the server and removes the folder.
pub struct Server {
    bin: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Child,
    run_as: Option<(u32, u32)>,
}

impl Server {
    /// Make a cluster in the folder for temporary files and start it on a free port of 127.0.0.1.
    pub fn start() -> Result<Self> {
        let bin = binaries()?;
        sweep_leftovers(&bin);
        let folder = std::env::temp_dir().join(format!("jarvis-queries-{}", std::process::id()));
        let run_as = unprivileged_user()?;
        fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        if let Some((uid, gid)) = run_as {
            chown(&folder, Some(uid), Some(gid))
                .context("giving the folder to the user PostgreSQL runs as")?;
        }
        let data = folder.join("data");
        let mut initdb = Command::new(bin.join("initdb"));
        initdb.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]);
        initdb
            .args(["--no-sync", "--no-instructions", "--pgdata"])
            .arg(&data);
        let made = output_of(as_user(initdb.current_dir("/"), run_as));
        if let Err(error) = made {
            fs::remove_dir_all(&folder).ok();
            return Err(error);
        }
        Self::launch(bin, folder, run_as)
    }

    fn launch(bin: PathBuf, folder: PathBuf, run_as: Option<(u32, u32)>) -> Result<Self> {
        let port = free_port()?;
        let log = File::create(folder.join("log"))?;
        let mut postgres = Command::new(bin.join("postgres"));
        postgres
            .arg("-D")
            .arg(folder.join("data"))
            .args(["-p", &port.to_string()]);
        postgres.args(["-c", "unix_socket_directories="]);
        for setting in SETTINGS {
            postgres.args(["-c", setting]);
        }
        postgres
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .current_dir("/");
        let child = as_user(&mut postgres, run_as)
            .spawn()
            .context("starting postgres")?;
        let mut server = Self {
            bin,
            folder,
            port,
            child,
            run_as,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            let mut ready = self.client("pg_isready");
            ready.args(["--quiet", "--dbname=postgres"]);
            if ready.status().context("starting pg_isready")?.success() {
                return Ok(());
            }
            let ended = self.child.try_wait().context("asking after postgres")?;
            if ended.is_some() || started.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                bail!(
                    "PostgreSQL did not start; its log ends with\n{}",
                    last_lines(&log, 15)
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A client program of PostgreSQL, set to this server and its superuser.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres");
        command
            .env_remove("PGDATABASE")
            .env_remove("PGPASSWORD")
            .env_remove("PGOPTIONS");
        command.stdin(Stdio::null());
        command
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Create a database and run the migrations in it, each in a transaction of its own.
    pub fn create_migrated(&self, root: &Path, database: &str) -> Result<()> {
        let mut create = self.client("createdb");
        output_of(create.arg(database))?;
        let folder = root.join("supabase/migrations");
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            files.push(entry?.path());
        }
        files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
        files.sort();
        for file in files {
            let mut psql = self.client("psql");
            psql.args([
                "--no-psqlrc",
                "--quiet",
                "--single-transaction",
                "--set=ON_ERROR_STOP=1",
            ]);
            psql.args(["--dbname", database, "--file"]).arg(&file);
            output_of(&mut psql).with_context(|| format!("migration {}", file.display()))?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut stop = Command::new(self.bin.join("pg_ctl"));
        stop.args(["stop", "--mode=immediate", "--silent", "--pgdata"])
            .arg(self.folder.join("data"));
        let stopped = output_of(as_user(stop.current_dir("/"), self.run_as));
        if stopped.is_err() {
            self.child.kill().ok();
        }
        self.child.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Where the programs of PostgreSQL are: JARVIS_PG_DIR, which `scripts/fetch.py --print-env` prints.
fn binaries() -> Result<PathBuf> {
    let folder = std::env::var_os("JARVIS_PG_DIR").context(
        "JARVIS_PG_DIR is not set; run this through `make sqlx` or `scripts/fetch.py -- cargo xtask sqlx`",
    )?;
    let bin = PathBuf::from(folder).join("bin");
    ensure!(
        bin.join("postgres").is_file(),
        "no postgres in {}; run scripts/fetch.py",
        bin.display()
    );
    Ok(bin)
}

/// PostgreSQL refuses to run as root, so root runs it as `nobody`.
fn unprivileged_user() -> Result<Option<(u32, u32)>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let nobody = User::from_name("nobody")?.context("root needs the user `nobody` to run PostgreSQL as")?;
    Ok(Some((nobody.uid.as_raw(), nobody.gid.as_raw())))
}

fn as_user(command: &mut Command, user: Option<(u32, u32)>) -> &mut Command {
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")
        .context("looking for a free port")?
        .local_addr()?
        .port())
}

/// A run that was killed leaves its server behind; the next one stops it and removes its folder.
fn sweep_leftovers(bin: &Path) {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix("jarvis-queries-")?.parse::<u32>().ok());
        let Some(owner) = owner else {
            continue;
        };
        if !Path::new(&format!("/proc/{owner}")).exists() {
            let mut stop = Command::new(bin.join("pg_ctl"));
            stop.args(["stop", "--mode=immediate", "--silent", "--pgdata"])
                .arg(entry.path().join("data"));
            let user = unprivileged_user().ok().flatten();
            // No server any more is as good as a stopped one.
            output_of(as_user(stop.current_dir("/"), user)).ok();
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// Run a program to its end; what it said becomes the error when it fails.
fn output_of(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = match command.stdin(Stdio::null()).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{program} is not there"),
        other => other.with_context(|| program.clone())?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} failed:\n{}",
        last_lines(&said, 15)
    );
    Ok(())
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
