//! Making the data directory, starting the server on it, and waiting until it answers.

use super::account::Account;
use super::binaries::Binaries;
use super::error::EmbeddedError;
use super::folder::Folder;
use super::postmaster::{PidFile, Postmaster};
use super::{EmbeddedSettings, Progress, Stage};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The administrator of the embedded PostgreSQL.
pub(super) const SUPERUSER: &str = "postgres";

/// How long a server that was left behind may take to answer before it is stopped.
const ADOPTION: Duration = Duration::from_secs(3);

pub(super) struct Server<'a> {
    pub(super) settings: &'a EmbeddedSettings,
    pub(super) binaries: &'a Binaries,
    pub(super) account: &'a Account,
    pub(super) folder: &'a Folder,
    pub(super) progress: Progress<'a>,
}

impl Server<'_> {
    /// Starts the server, or takes over one that an earlier process left behind. Returns it with its port and the
    /// administrator's password.
    pub(super) async fn start(&self) -> Result<(Postmaster, u16, SecretString), EmbeddedError> {
        let cluster = self.folder.cluster();
        if cluster.join("PG_VERSION").exists() {
            let password = self.folder.known_secret(SUPERUSER)?;
            if let Some((postmaster, port)) = self.take_over(&cluster, &password).await? {
                return Ok((postmaster, port, password));
            }
            let (postmaster, port) = self.launch(&cluster, &password).await?;
            return Ok((postmaster, port, password));
        }
        let password = self.folder.secret(SUPERUSER)?;
        (self.progress)(Stage::Initialising);
        self.initialise(&cluster, &password).await?;
        let (postmaster, port) = self.launch(&cluster, &password).await?;
        Ok((postmaster, port, password))
    }

    /// Makes the data directory aside and moves it into place, so that one made halfway is never used.
    async fn initialise(&self, cluster: &Path, password: &SecretString) -> Result<(), EmbeddedError> {
        let home = self.folder.home();
        remove_unfinished(&home);
        // An initdb that a killed process left behind may still write into its own folder.
        let aside = home.join(format!("{UNFINISHED}{}", std::process::id()));
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(EmbeddedError::not_writable(&aside))?;
        }
        let password_file = home.join("initial-password");
        self.write_private(&password_file, password.expose_secret())?;
        let mut command = self.account.command(&self.binaries.tool("initdb"), &home);
        command
            .arg("--pgdata")
            .arg(&aside)
            .arg("--pwfile")
            .arg(&password_file)
            .args([
                "--username",
                SUPERUSER,
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
            ]);
        if !self.settings.durable {
            command.arg("--no-sync");
        }
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("the blocking task does not panic")
            .map_err(|error| EmbeddedError::UnusableBinaries {
                program: self.binaries.tool("initdb"),
                reason: error.to_string(),
            })?;
        fs::remove_file(&password_file).map_err(EmbeddedError::not_writable(&password_file))?;
        if !output.status.success() {
            return Err(self.init_failed(&String::from_utf8_lossy(&output.stderr)));
        }
        fs::rename(&aside, cluster).map_err(EmbeddedError::not_writable(cluster))
    }

    fn init_failed(&self, stderr: &str) -> EmbeddedError {
        if stderr.contains("No space left on device") {
            return EmbeddedError::DiskFull {
                path: self.folder.root().to_owned(),
            };
        }
        EmbeddedError::InitFailed {
            reason: last_lines(stderr, 3),
        }
    }

    fn write_private(&self, path: &Path, text: &str) -> Result<(), EmbeddedError> {
        let write = || {
            let mut file = File::create(path)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())
        };
        write().map_err(EmbeddedError::not_writable(path))?;
        self.account.give(path)
    }

    /// A killed JARVIS leaves its PostgreSQL running. It is taken over when it answers, on the wanted port; else it
    /// is stopped, and the caller starts another one.
    async fn take_over(
        &self,
        cluster: &Path,
        password: &SecretString,
    ) -> Result<Option<(Postmaster, u16)>, EmbeddedError> {
        let Some(found) = PidFile::read(cluster).filter(|found| found.is_postmaster_of(cluster)) else {
            return Ok(None);
        };
        let mut postmaster = Postmaster::left_behind(found.pid);
        let wanted = found
            .port
            .filter(|port| self.settings.port.is_none_or(|wanted| wanted == *port));
        if let Some(port) = wanted {
            let begun = Instant::now();
            while begun.elapsed() < ADOPTION && postmaster.is_running() {
                if answers(port, password, cluster).await == Answer::Ready {
                    (self.progress)(Stage::TakenOver { pid: found.pid });
                    return Ok(Some((postmaster, port)));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        postmaster.stop(Duration::from_secs(20)).await?;
        Ok(None)
    }

    /// PostgreSQL clears away the lock file of a process that is gone, but refuses to start when another process has
    /// that number now: a stranger, or one whose end nobody noted. Whether an orphan of the old server still works on
    /// the files, it finds out without the file, by the shared memory of this directory.
    fn clear_lock(cluster: &Path) -> Result<(), EmbeddedError> {
        let Some(found) = PidFile::read(cluster) else {
            return Ok(());
        };
        if found.is_gone() || found.is_postmaster_of(cluster) {
            return Ok(());
        }
        let path = cluster.join("postmaster.pid");
        tracing::info!(pid = found.pid, "removing the lock file of a server that ended");
        fs::remove_file(&path).map_err(EmbeddedError::not_writable(&path))
    }

    async fn launch(
        &self,
        cluster: &Path,
        password: &SecretString,
    ) -> Result<(Postmaster, u16), EmbeddedError> {
        let begun = Instant::now();
        (self.progress)(Stage::Starting);
        loop {
            Self::clear_lock(cluster)?;
            let port = self.settings.port.map_or_else(free_port, port_if_free)?;
            match self.launch_once(cluster, password, port, begun).await {
                // Somebody took the free port between our look and PostgreSQL's.
                Err(EmbeddedError::PortTaken { .. }) if self.settings.port.is_none() => {}
                // Processes of a killed server end when they notice that it is gone.
                Err(EmbeddedError::StartFailed { reason, .. })
                    if (reason.contains("shared memory block") || reason.contains("postmaster.pid"))
                        && begun.elapsed() < self.settings.start_timeout =>
                {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Ok(postmaster) => return Ok((postmaster, port)),
                Err(error) => return Err(error),
            }
        }
    }

    async fn launch_once(
        &self,
        cluster: &Path,
        password: &SecretString,
        port: u16,
        begun: Instant,
    ) -> Result<Postmaster, EmbeddedError> {
        self.configure(cluster, port)?;
        let earlier = Log::newest(cluster);
        let log = self.folder.home().join("start.log");
        let file = File::create(&log).map_err(EmbeddedError::not_writable(&log))?;
        let also = file.try_clone().map_err(EmbeddedError::not_writable(&log))?;
        let program = self.binaries.tool("postgres");
        let child = self
            .account
            .command(&program, &self.folder.home())
            .arg("-D")
            .arg(cluster)
            .stdout(file)
            .stderr(also)
            .spawn()
            .map_err(|error| EmbeddedError::UnusableBinaries {
                program,
                reason: error.to_string(),
            })?;
        let mut postmaster = Postmaster::child(child);
        let mut recovering = false;
        loop {
            match answers(port, password, cluster).await {
                Answer::Ready => return Ok(postmaster),
                Answer::Starting if !recovering && begun.elapsed() > Duration::from_secs(1) => {
                    recovering = true;
                    (self.progress)(Stage::Recovering);
                }
                _ => {}
            }
            if !postmaster.is_running() {
                return Err(self.start_failed(&log, &earlier, cluster, port));
            }
            if begun.elapsed() > self.settings.start_timeout {
                postmaster.stop(Duration::from_secs(5)).await?;
                return Err(EmbeddedError::StartTimeout {
                    seconds: self.settings.start_timeout.as_secs(),
                    log: cluster.join("log"),
                });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Our settings, included after PostgreSQL's own so that they win, and before those an operator may set by
    /// `alter system`.
    fn configure(&self, cluster: &Path, port: u16) -> Result<(), EmbeddedError> {
        const INCLUDE: &str = "include_if_exists = 'jarvis.conf'";
        let main = cluster.join("postgresql.conf");
        let text = fs::read_to_string(&main).map_err(EmbeddedError::not_writable(&main))?;
        if !text.lines().any(|line| line.trim() == INCLUDE) {
            fs::write(&main, format!("{text}\n{INCLUDE}\n")).map_err(EmbeddedError::not_writable(&main))?;
        }
        self.write_private(&cluster.join("jarvis.conf"), &self.settings.configuration(port))
    }

    fn start_failed(&self, start_log: &Path, earlier: &Log, cluster: &Path, port: u16) -> EmbeddedError {
        let log = Log::newest(cluster);
        let mut said = log.since(earlier);
        // What it says before its log is open comes last: whoever fails so early writes nothing else, and the log
        // may still hear from processes of the server before.
        said.push_str(&fs::read_to_string(start_log).unwrap_or_default());
        if said.contains("Address already in use") {
            return EmbeddedError::PortTaken { port };
        }
        if said.contains("No space left on device") {
            return EmbeddedError::DiskFull {
                path: self.folder.root().to_owned(),
            };
        }
        let fatal: Vec<&str> = said
            .lines()
            .filter_map(|line| line.split_once("FATAL:").or(line.split_once("PANIC:")))
            .map(|(_, text)| text.trim())
            // Said to those who connect, us among them.
            .filter(|text| {
                !text.starts_with("terminating connection") && !text.starts_with("the database system is")
            })
            .collect();
        EmbeddedError::StartFailed {
            reason: match fatal.last() {
                Some(reason) => (*reason).to_owned(),
                None => last_lines(&said, 3),
            },
            log: log.path.unwrap_or_else(|| start_log.to_owned()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Ready,
    Starting,
    Nothing,
}

/// Whether the server of `cluster` answers at `port`, and not another one that happens to be there.
async fn answers(port: u16, password: &SecretString, cluster: &Path) -> Answer {
    let options = options(port, SUPERUSER, password, "postgres");
    let asked = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        let directory: String = sqlx::query_scalar("show data_directory")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(directory)
    };
    match tokio::time::timeout(Duration::from_secs(2), asked).await {
        Ok(Ok(directory)) if Path::new(&directory) == cluster => Answer::Ready,
        Ok(Err(sqlx::Error::Database(error))) if error.code().as_deref() == Some("57P03") => Answer::Starting,
        _ => Answer::Nothing,
    }
}

pub(super) fn options(port: u16, user: &str, password: &SecretString, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(user)
        .password(password.expose_secret())
        .database(database)
        .ssl_mode(PgSslMode::Disable)
        .application_name("jarvis-embedded")
}

fn free_port() -> Result<u16, EmbeddedError> {
    listen(0).map_err(|source| EmbeddedError::NotWritable {
        path: PathBuf::from("127.0.0.1"),
        source,
    })
}

fn port_if_free(port: u16) -> Result<u16, EmbeddedError> {
    listen(port).map_err(|_| EmbeddedError::PortTaken { port })
}

fn listen(port: u16) -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?
        .local_addr()?
        .port())
}

/// The log that the server writes to, and how long it is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    path: Option<PathBuf>,
    length: usize,
}

impl Log {
    fn newest(cluster: &Path) -> Self {
        let logs = fs::read_dir(cluster.join("log"))
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let newest = logs.filter_map(|entry| Some((entry.metadata().ok()?, entry.path())));
        let newest = newest.max_by_key(|(meta, _)| meta.modified().ok());
        newest.map_or_else(Self::default, |(meta, path)| Self {
            path: Some(path),
            length: usize::try_from(meta.len()).unwrap_or(usize::MAX),
        })
    }

    /// What was written since `earlier` was looked at.
    fn since(&self, earlier: &Self) -> String {
        let text = self
            .path
            .as_deref()
            .and_then(|path| fs::read(path).ok())
            .unwrap_or_default();
        let from = if self.path == earlier.path {
            earlier.length
        } else {
            0
        };
        String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned()
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Where data directories are made, with the process that makes them.
const UNFINISHED: &str = "unfinished-";

/// Removes what earlier processes left half made, as far as it can be removed: an initdb may still be at it, and
/// the next start tries again.
fn remove_unfinished(home: &Path) {
    let entries = fs::read_dir(home).into_iter().flatten().flatten();
    for entry in entries.filter(|e| e.file_name().to_string_lossy().starts_with(UNFINISHED)) {
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "cannot remove a half-made data directory yet");
        }
    }
}
