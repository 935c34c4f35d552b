//! The embedded PostgreSQL on good days and on bad ones. Each test has a folder and a server of its own.

use jarvis_core::Scope;
use jarvis_db::embedded::{self, Embedded, EmbeddedError, EmbeddedSettings, Stage};
use jarvis_db::migrations::MigrationError;
use jarvis_db::{ConnectSettings, Db};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A folder of a test's own, removed with the value.
struct Data(PathBuf);

impl Data {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("jarvis-data-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn settings(&self) -> EmbeddedSettings {
        EmbeddedSettings {
            durable: false,
            ..EmbeddedSettings::new(self.0.join("data"))
        }
    }

    async fn start(&self) -> Result<Embedded, EmbeddedError> {
        Embedded::start_server(&self.settings(), &|_| {}).await
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // Only dropped servers still write here; a test that stopped its own always succeeds at once.
        for _ in 0..100 {
            if fs::remove_dir_all(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

async fn connect(url: &SecretString) -> PgConnection {
    PgConnection::connect(url.expose_secret()).await.unwrap()
}

async fn run(url: &SecretString, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&mut connect(url).await).await.unwrap();
}

async fn count(url: &SecretString, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql)
        .fetch_one(&mut connect(url).await)
        .await
        .unwrap()
}

/// The user that PostgreSQL runs as when we are root, else ourselves.
fn server_user() -> Uid {
    let other = ["jarvis", "nobody"]
        .iter()
        .find_map(|name| nix::unistd::User::from_name(name).unwrap());
    if Uid::effective().is_root() {
        other.unwrap().uid
    } else {
        Uid::effective()
    }
}

#[tokio::test]
async fn the_first_start_makes_a_database_and_the_second_keeps_it() {
    const CANARY: &str = "mon genou chante";
    let data = Data::new();
    let settings = EmbeddedSettings::new(data.0.join("data"));
    let stages = Mutex::new(Vec::new());
    let heard = |stage| stages.lock().unwrap().push(stage);
    let first = Embedded::start(&settings, &heard).await.unwrap();
    let expected = [
        Stage::Initialising,
        Stage::Starting,
        Stage::Migrating,
        Stage::Ready,
    ];
    assert_eq!(*stages.lock().unwrap(), expected);

    run(
        first.admin_url(),
        "insert into public.gyms (name) values ('Lyon')",
    )
    .await;
    let mut connection = connect(first.admin_url()).await;
    let failing = sqlx::query("select $1::int")
        .bind(CANARY)
        .execute(&mut connection)
        .await;
    assert!(failing.is_err());
    let literal = sqlx::query("select 'mon genou chante'::int")
        .execute(&mut connection)
        .await;
    assert!(literal.is_err());
    let login = first.login_url().unwrap().clone();
    let db = Db::connect(&ConnectSettings::new(login)).await.unwrap();
    db.begin(&Scope::System).await.unwrap().commit().await.unwrap();
    db.close().await;

    let cluster = first.cluster_dir();
    assert_eq!(fs::metadata(&cluster).unwrap().uid(), server_user().as_raw());
    for secret in ["postgres", "jarvis_login"] {
        let mode = fs::metadata(settings.data_dir.join("secrets").join(secret))
            .unwrap()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    first.stop().await.unwrap();
    assert!(!cluster.join("postmaster.pid").exists());
    for entry in fs::read_dir(cluster.join("log")).unwrap() {
        let log = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!log.is_empty() && !log.contains("genou"), "{log}");
    }

    let second = Embedded::start(&settings, &|_| {}).await.unwrap();
    assert_eq!(
        count(second.admin_url(), "select count(*) from public.gyms").await,
        1
    );
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_password_is_asked_of_everybody() {
    let data = Data::new();
    let server = data.start().await.unwrap();
    for user in ["postgres:wrong", "postgres"] {
        let url = format!(
            "postgres://{user}@127.0.0.1:{}/postgres?sslmode=disable",
            server.port()
        );
        let error = PgConnection::connect(&url).await.unwrap_err();
        let code = error
            .as_database_error()
            .and_then(|error| error.code().map(std::borrow::Cow::into_owned));
        assert_eq!(code.as_deref(), Some("28P01"), "{error}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_killed_outright_recovers_what_was_committed() {
    let data = Data::new();
    let server = data.start().await.unwrap();
    run(
        server.admin_url(),
        "create table kept as select generate_series(1, 500) as n",
    )
    .await;
    let mut open = connect(server.admin_url()).await;
    sqlx::raw_sql("begin; insert into kept values (501)")
        .execute(&mut open)
        .await
        .unwrap();
    kill(
        Pid::from_raw(i32::try_from(server.pid()).unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    drop(server);

    let server = data.start().await.unwrap();
    assert_eq!(count(server.admin_url(), "select count(*) from kept").await, 500);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_ends_by_itself_is_revived_at_the_same_port() {
    let data = Data::new();
    let mut server = data.start().await.unwrap();
    assert!(!server.revive().await.unwrap());
    let (pid, url) = (server.pid(), server.admin_url().clone());
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
    let begun = Instant::now();
    while !server.revive().await.unwrap() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "its end goes unnoticed"
        );
    }
    assert_ne!(server.pid(), pid);
    assert_eq!(count(&url, "select count(*) from pg_database").await, 3);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_lock_left_by_a_process_that_is_gone_or_a_stranger_now_is_no_obstacle() {
    let data = Data::new();
    let server = data.start().await.unwrap();
    let lock = server.cluster_dir().join("postmaster.pid");
    let content = fs::read_to_string(&lock).unwrap();
    let after_pid = content.split_once('\n').unwrap().1.to_owned();
    server.stop().await.unwrap();

    let mut sleep = Command::new("sleep");
    sleep.arg("60");
    if Uid::effective().is_root() {
        sleep.uid(server_user().as_raw());
    }
    let mut stranger = sleep.spawn().unwrap();
    // No process has a number beyond this one: it is the limit of the kernel.
    for pid in [stranger.id(), 4_194_305] {
        fs::write(&lock, format!("{pid}\n{after_pid}")).unwrap();
        data.start().await.unwrap().stop().await.unwrap();
    }
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was harmed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_data_directory_made_halfway_is_made_again() {
    let data = Data::new();
    let unfinished = data.0.join("data/postgres/unfinished-1");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "18\n").unwrap();
    let home = unfinished.parent().unwrap();
    std::os::unix::fs::chown(home, Some(server_user().as_raw()), None).unwrap();
    data.start().await.unwrap().stop().await.unwrap();
    assert!(!unfinished.exists());
}

/// Runs the test below in a process of its own, and waits until its server is ready.
async fn other_process(data: &Data) -> Child {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "embedded::body_of_a_process_that_gets_killed",
            "--ignored",
        ])
        .env("JARVIS_TEST_FOLDER", data.settings().data_dir)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !fs::read_to_string(data.0.join("data/jarvis.lock")).is_ok_and(|text| text.contains("port=")) {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the other process does not start"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child
}

#[tokio::test]
#[ignore = "the body of a process that other tests start and kill"]
async fn body_of_a_process_that_gets_killed() {
    let folder = std::env::var_os("JARVIS_TEST_FOLDER").expect("started by another test");
    let settings = EmbeddedSettings {
        durable: false,
        ..EmbeddedSettings::new(folder)
    };
    let server = Embedded::start_server(&settings, &|_| {}).await.unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_in_use_is_refused_by_name_and_a_killed_owners_server_is_taken_over() {
    let data = Data::new();
    let mut other = other_process(&data).await;
    let error = data.start().await.unwrap_err();
    let EmbeddedError::AlreadyRunning {
        pid,
        port: Some(port),
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(pid, Some(other.id()));
    assert!(
        error
            .to_string()
            .contains(&format!("process {}, PostgreSQL on port {port}", other.id())),
        "{error}"
    );

    other.kill().unwrap();
    other.wait().unwrap();
    let taken = Mutex::new(None);
    let heard = |stage| {
        if let Stage::TakenOver { pid } = stage {
            *taken.lock().unwrap() = Some(pid);
        }
    };
    let server = Embedded::start_server(&data.settings(), &heard).await.unwrap();
    assert_eq!(*taken.lock().unwrap(), Some(server.pid()));
    assert_eq!(server.port(), port);
    assert_eq!(
        count(server.admin_url(), "select count(*) from pg_database").await,
        3
    );
    let cluster = server.cluster_dir();
    server.stop().await.unwrap();
    assert!(!cluster.join("postmaster.pid").exists());
}

#[tokio::test]
async fn a_killed_owners_server_on_another_port_than_wanted_is_restarted() {
    let data = Data::new();
    let mut other = other_process(&data).await;
    other.kill().unwrap();
    other.wait().unwrap();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let settings = EmbeddedSettings {
        port: Some(port),
        ..data.settings()
    };
    let server = Embedded::start_server(&settings, &|_| {}).await.unwrap();
    assert_eq!(server.port(), port);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_command_can_join_a_running_server() {
    let data = Data::new();
    let folder = data.settings().data_dir;
    assert!(embedded::running(&folder).unwrap().is_none());
    let server = Embedded::start(&data.settings(), &|_| {}).await.unwrap();
    let running = embedded::running(&folder).unwrap().unwrap();
    assert_eq!((running.pid, running.port), (std::process::id(), server.port()));
    Db::connect(&ConnectSettings::new(running.login_url))
        .await
        .unwrap();
    server.stop().await.unwrap();
    assert!(embedded::running(&folder).unwrap().is_none());
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_option_that_changes_it() {
    let data = Data::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let settings = EmbeddedSettings {
        port: Some(port),
        ..data.settings()
    };
    let error = Embedded::start_server(&settings, &|_| {}).await.unwrap_err();
    assert!(error.to_string().contains(&format!("port {port}")), "{error}");
    assert!(error.hint().unwrap().contains("--pg-port"));
    drop(taken);
    Embedded::start_server(&settings, &|_| {})
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
}

#[tokio::test]
async fn data_of_another_major_version_is_left_alone() {
    for (folder, version) in [("17", "17"), ("18", "16")] {
        let data = Data::new();
        let cluster = data.0.join("data/postgres").join(folder);
        fs::create_dir_all(&cluster).unwrap();
        fs::write(cluster.join("PG_VERSION"), format!("{version}\n")).unwrap();
        std::os::unix::fs::chown(&cluster, Some(server_user().as_raw()), None).unwrap();
        let error = data.start().await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("PostgreSQL {version}; this is PostgreSQL 18")),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("pg_upgrade"));
        assert!(!data.0.join("data/secrets").exists());
    }
}

#[tokio::test]
async fn a_postgresql_without_pgvector_is_refused_and_stopped() {
    let data = Data::new();
    let server = data.start().await.unwrap();
    let own = server.cluster_dir().join("postgresql.auto.conf");
    server.stop().await.unwrap();
    fs::write(own, "extension_control_path = '/nonexistent'\n").unwrap();
    let error = Embedded::start(&data.settings(), &|_| {}).await.unwrap_err();
    let EmbeddedError::Migration(MigrationError::MissingExtension { extension, .. }) = &error else {
        panic!("{error}");
    };
    assert_eq!(*extension, "vector");
    assert!(error.hint().unwrap().contains("scripts/fetch.py"));
    assert!(!data.0.join("data/postgres/18/postmaster.pid").exists());
}

/// An installation whose programs are scripts of ours.
fn scripts(data: &Data, scripts: &[(&str, &str)]) -> PathBuf {
    let dir = data.0.join("scripts");
    fs::create_dir_all(dir.join("bin")).unwrap();
    for (name, script) in scripts {
        let path = dir.join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir
}

async fn start_with(data: &Data, pg_dir: PathBuf) -> EmbeddedError {
    let settings = EmbeddedSettings {
        pg_dir: Some(pg_dir),
        ..data.settings()
    };
    Embedded::start_server(&settings, &|_| {}).await.unwrap_err()
}

#[tokio::test]
async fn missing_or_broken_programs_name_the_script_that_gets_them() {
    let data = Data::new();
    let error = start_with(&data, data.0.join("nowhere")).await;
    assert!(matches!(error, EmbeddedError::MissingBinaries { .. }), "{error}");
    assert!(error.hint().unwrap().contains("scripts/fetch.py"));

    let broken = scripts(&data, &[("postgres", "echo 'wrong system' >&2; exit 1")]);
    let error = start_with(&data, broken).await;
    assert!(error.to_string().contains("wrong system"), "{error}");
    assert!(error.hint().unwrap().contains("DATABASE_URL"));
}

#[tokio::test]
async fn a_full_disk_is_called_so() {
    const VERSION: &str = "[ \"$1\" = --version ] && echo 'postgres (PostgreSQL) 18.6' && exit 0";
    let full = "echo 'initdb: error: could not write: No space left on device' >&2; exit 1";
    let data = Data::new();
    let error = start_with(&data, scripts(&data, &[("postgres", VERSION), ("initdb", full)])).await;
    assert!(matches!(error, EmbeddedError::DiskFull { .. }), "{error}");

    let makes = "touch \"$2/PG_VERSION\" 2>/dev/null || mkdir -p \"$2\"; echo 18 > \"$2/PG_VERSION\"; : > \"$2/postgresql.conf\"";
    let stops =
        format!("{VERSION}\necho 'FATAL:  could not write lock file: No space left on device' >&2; exit 1");
    let error = start_with(&data, scripts(&data, &[("postgres", &stops), ("initdb", makes)])).await;
    assert!(matches!(error, EmbeddedError::DiskFull { .. }), "{error}");
    assert!(error.hint().unwrap().contains("free some space"));
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why_and_where_its_log_is() {
    let data = Data::new();
    let server = data.start().await.unwrap();
    let own = server.cluster_dir().join("postgresql.auto.conf");
    server.stop().await.unwrap();
    fs::write(own, "shared_preload_libraries = 'no_such_library'\n").unwrap();
    let error = data.start().await.unwrap_err();
    assert!(matches!(error, EmbeddedError::StartFailed { .. }), "{error}");
    assert!(error.to_string().contains("no_such_library"), "{error}");
    assert!(Path::new(error.hint().unwrap().strip_prefix("see ").unwrap()).exists());
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() {
    let data = Data::new();
    let file = data.0.join("file");
    fs::write(&file, "").unwrap();
    let error = Embedded::start_server(&EmbeddedSettings::new(file.join("data")), &|_| {})
        .await
        .unwrap_err();
    assert!(matches!(error, EmbeddedError::NotWritable { .. }), "{error}");
    assert!(error.hint().unwrap().contains("--data-dir"));

    let closed = data.0.join("closed");
    fs::create_dir(&closed).unwrap();
    let mode = if Uid::effective().is_root() { 0o700 } else { 0o500 };
    fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).unwrap();
    let error = Embedded::start_server(&EmbeddedSettings::new(closed.join("data")), &|_| {})
        .await
        .unwrap_err();
    if Uid::effective().is_root() {
        assert!(
            matches!(&error, EmbeddedError::NotEnterable { dir, .. } if *dir == closed),
            "{error}"
        );
    } else {
        assert!(matches!(error, EmbeddedError::NotWritable { .. }), "{error}");
    }
    assert!(error.hint().unwrap().contains("--data-dir"));
}

#[tokio::test]
async fn folders_made_on_the_way_can_be_entered_whatever_the_umask() {
    let data = Data::new();
    let folder = data.0.join("one/two/data");
    let settings = EmbeddedSettings {
        data_dir: folder.clone(),
        ..data.settings()
    };
    let umask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let started = Embedded::start_server(&settings, &|_| {}).await;
    nix::sys::stat::umask(umask);
    started.unwrap().stop().await.unwrap();
    let expected = if Uid::effective().is_root() { 0o755 } else { 0o700 };
    for dir in [data.0.join("one"), data.0.join("one/two"), folder] {
        assert_eq!(
            fs::metadata(&dir).unwrap().mode() & 0o777,
            expected,
            "{}",
            dir.display()
        );
    }
}

#[tokio::test]
async fn a_folder_may_be_named_with_dots_and_links() {
    let data = Data::new();
    fs::create_dir(data.0.join("real")).unwrap();
    std::os::unix::fs::symlink(data.0.join("real"), data.0.join("link")).unwrap();
    let settings = EmbeddedSettings {
        data_dir: data.0.join("real/../link/./data"),
        ..data.settings()
    };
    let server = Embedded::start_server(&settings, &|_| {}).await.unwrap();
    assert!(
        embedded::running(&settings.data_dir).unwrap().is_none(),
        "there is no login yet"
    );
    assert_eq!(
        server.cluster_dir(),
        fs::canonicalize(data.0.join("real/data/postgres/18")).unwrap()
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_of_somebody_else_is_left_alone() {
    let data = Data::new();
    let folder = if Uid::effective().is_root() {
        let cluster = data.0.join("data/postgres/18");
        fs::create_dir_all(&cluster).unwrap();
        std::os::unix::fs::chown(&cluster, Some(2), Some(2)).unwrap();
        data.0.join("data")
    } else {
        PathBuf::from("/usr")
    };
    let error = Embedded::start_server(&EmbeddedSettings::new(folder), &|_| {})
        .await
        .unwrap_err();
    assert!(matches!(error, EmbeddedError::OwnedByOther { .. }), "{error}");
    assert!(error.hint().unwrap().contains("run as user"));
}

#[tokio::test]
async fn data_without_its_password_is_not_overwritten() {
    let data = Data::new();
    data.start().await.unwrap().stop().await.unwrap();
    let secret = data.0.join("data/secrets/postgres");
    let password = fs::read_to_string(&secret).unwrap();
    fs::remove_file(&secret).unwrap();
    let error = data.start().await.unwrap_err();
    assert!(matches!(error, EmbeddedError::LostPassword { .. }), "{error}");
    fs::write(&secret, password).unwrap();
    data.start().await.unwrap().stop().await.unwrap();
}
