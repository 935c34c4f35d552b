//! The program, and one run of a command of it.

use jarvis_testkit::TestDb;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// Variables of the surroundings that would change what the program does.
pub const FOREIGN: [&str; 35] = [
    "JARVIS_BACKUP_DIR",
    "JARVIS_DATA_API_CONNECTIONS",
    "JARVIS_DATA_API_MAX_ROWS",
    "JARVIS_JWT_SECRET",
    "JARVIS_BACKUP_KEY_FILE",
    "JARVIS_GYM_REQUESTS_PER_MINUTE",
    "JARVIS_JOB_GRACE_SECONDS",
    "JARVIS_JOB_LEASE_SECONDS",
    "JARVIS_SCRATCH_DATABASE_URL",
    "JARVIS_WAIT_FOR_DATABASE",
    "JARVIS_CHAT",
    "JARVIS_CHAT_API",
    "JARVIS_CHAT_CONTEXT_TOKENS",
    "JARVIS_CHAT_MODEL",
    "JARVIS_EMBEDDINGS",
    "JARVIS_EMBEDDING_MODEL",
    "JARVIS_MAX_CONNECTIONS",
    "JARVIS_MODELS_EU_HOSTS",
    "JARVIS_MODELS_EU_ONLY",
    "JARVIS_OPENAI_API_KEY",
    "JARVIS_OPENAI_API_KEY_FILE",
    "JARVIS_OPENAI_BASE_URL",
    "JARVIS_OPENAI_TIMEOUT_SECONDS",
    "JARVIS_TRUSTED_PROXIES",
    "DATABASE_URL",
    "JARVIS_ADMIN_DATABASE_URL",
    "JARVIS_DATA_DIR",
    "JARVIS_LISTEN",
    "JARVIS_DRAIN_SECONDS",
    "JARVIS_LOG",
    "JARVIS_LOG_FORMAT",
    "JARVIS_METRICS_LISTEN",
    "JARVIS_SIGNING_KEY_FILE",
    "JARVIS_USER_PASSWORD",
    "RUST_LOG",
];

/// The program: `JARVIS_BIN`, else the one that Cargo built beside these tests.
pub fn path() -> PathBuf {
    if let Some(path) = std::env::var_os("JARVIS_BIN").filter(|p| !p.is_empty()) {
        return path.into();
    }
    let tests = std::env::current_exe().expect("a running test has a path");
    let built = tests
        .parent()
        .and_then(Path::parent)
        .map(|profile| profile.join("jarvis"));
    built.filter(|path| path.is_file()).unwrap_or_else(|| {
        panic!("the program is not built: run `cargo build -p jarvis`, or the tests by `make test`")
    })
}

/// What `scripts/fetch.py` brings, by the variable that names it. Only on a developer's machine a test may go
/// without; where everything is checked, nothing is skipped.
pub fn fetched(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.exists());
    if path.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{variable} is not set, or its file is not there"
        );
        println!("skipped: {variable} is not set; `make test` fetches it and sets it");
    }
    path
}

/// A folder of one test, which every user can enter; removed at the end.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = std::env::temp_dir().join(format!("jarvis-e2e-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::env::var_os("JARVIS_TEST_KEEP").is_none() {
            // What is left in the folder for temporary files harms nobody; a second panic would hide the first.
            drop(std::fs::remove_dir_all(&self.0));
        }
    }
}

/// How the program is called in one test: with which database, data folder and log.
#[derive(Debug)]
pub struct Program {
    folder: Folder,
    variables: Vec<(&'static str, String)>,
    binary: PathBuf,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; of a program that was ended by a signal, the signal below zero.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// On this database, with an empty data folder.
    pub fn on(db: &TestDb) -> Self {
        let mut program = Self::without_database();
        program.set("DATABASE_URL", db.login_url().expose_secret());
        program.set("JARVIS_ADMIN_DATABASE_URL", db.url().expose_secret());
        program
    }

    /// Without a database of its own, with an empty data folder.
    pub fn without_database() -> Self {
        let folder = Folder::new();
        let data = folder.path().join("data").display().to_string();
        Self {
            folder,
            variables: vec![("JARVIS_DATA_DIR", data)],
            binary: path(),
        }
    }

    /// Runs another build of the program from now on.
    pub fn use_binary(&mut self, binary: PathBuf) {
        self.binary = binary;
    }

    pub fn unset(&mut self, variable: &str) {
        self.variables.retain(|(name, _)| *name != variable);
    }

    pub fn set(&mut self, variable: &'static str, value: &str) {
        self.unset(variable);
        self.variables.push((variable, value.to_owned()));
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command, ready to start. It ends with its test.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        let output = self
            .command(arguments)
            .output()
            .await
            .expect("the program starts");
        Ended {
            code: output
                .status
                .code()
                .unwrap_or_else(|| -output.status.signal().unwrap_or_default()),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }

    /// Runs a command that must succeed, with `--json`; its data.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        let ended = self.run(&arguments).await;
        assert_eq!(ended.code, 0, "jarvis {arguments:?}: {ended:?}");
        ended.json()
    }
}

impl Program {
    /// Runs a command that must fail, with `--json`; what it says of the error.
    pub async fn json_error(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        let ended = self.run(&arguments).await;
        assert_eq!(ended.code, 1, "jarvis {arguments:?}: {ended:?}");
        let last = ended.stderr.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("no JSON in the end ({error}): {ended:?}"))
    }
}

impl Ended {
    /// Standard output, which must be one JSON value and nothing else.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is not one JSON value ({error}): {self:?}"))
    }
}

/// The text at a place of a JSON value.
pub fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("no text at {pointer} of {value}"))
        .to_owned()
}
