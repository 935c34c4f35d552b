//! `jarvis up`: a PostgreSQL of its own, also after accidents, as root and as anybody.

use crate::brake::Brake;
use crate::gyms::{self, EVERYTHING, GOAL};
use crate::program::{self, FOREIGN, Program, fetched, text};
use crate::server::{Server, is_alive};
use crate::stored::traces;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, chown};
use reqwest::StatusCode;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// Words that must be found in no file but the database's own.
const CANARY: &str = "Mon perroquet turquoise s'appelle Archibald";

/// The PostgreSQL that runs on a data folder (or on the demo's folder inside it), by its lock file.
pub fn postmaster(data: &Path) -> Option<i32> {
    let folders = [data.to_owned(), data.join("demo")];
    folders.iter().find_map(|folder| {
        let clusters = std::fs::read_dir(folder.join("postgres")).ok()?;
        let is_cluster =
            |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        clusters
            .filter_map(Result::ok)
            .filter(|entry| is_cluster(&entry.file_name()))
            .find_map(|cluster| {
                let lock = std::fs::read_to_string(cluster.path().join("postmaster.pid")).ok()?;
                lock.lines().next()?.trim().parse().ok()
            })
    })
}

/// A port for the PostgreSQL of a `jarvis up`, so that it is the same after each restart.
#[derive(Debug, Clone, Copy)]
pub struct PortOf {
    pub number: u16,
}

impl PortOf {
    /// A port that is free now.
    pub fn free() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            number: listener.local_addr().unwrap().port(),
        }
    }

    /// Connections of the superuser to the PostgreSQL that runs there on the program's data folder; they come back by
    /// themselves.
    pub fn admin_pool(self, program: &Program) -> PgPool {
        self.admin_pool_in(&program.data())
    }

    /// As [`PortOf::admin_pool`], with the data in another folder.
    pub fn admin_pool_in(self, data: &Path) -> PgPool {
        let secret = data.join("secrets/postgres");
        let password = std::fs::read_to_string(secret).unwrap();
        let number = self.number;
        PgPoolOptions::new()
            .max_connections(3)
            .acquire_timeout(Duration::from_secs(20))
            .connect_lazy(&format!(
                "postgres://postgres:{password}@127.0.0.1:{number}/jarvis?sslmode=disable"
            ))
            .unwrap()
    }
}

/// The user `nobody`.
const NOBODY: u32 = 65_534;

fn up(program: &Program) -> Command {
    program.command(&["up", "--listen", "127.0.0.1:0"])
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_serves_survives_a_kill_and_stops_its_postgresql() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let mut program = Program::without_database();
    program.set("JARVIS_LOG", "debug");
    let server = Server::start(up(&program)).await;
    let postgres = postmaster(&program.data()).expect("PostgreSQL runs");
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    let spoken = kiosk.converse("BADGE_001", &[CANARY, GOAL]).await;
    assert_eq!(spoken["state"], "processed", "{spoken}");
    let session = text(&spoken, "/session_id");
    let address = server.address.clone();
    let log = server.kill().await.so_far();
    no_log_holds_what_was_said(&log, &program.data());

    // PostgreSQL outlives the kill; the next start takes it over, or starts another one.
    let server = Server::start(program.command(&["up", "--listen", &address])).await;
    let (_, again) = kiosk.get(&format!("/api/v1/sessions/{session}")).await;
    assert_eq!(
        (&again["state"], &again["facts"]),
        (&spoken["state"], &spoken["facts"])
    );
    let now = postmaster(&program.data()).expect("PostgreSQL runs");

    already_running_is_said(&program).await;
    let (status, log) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0), "{}", log.so_far());
    assert!(
        !is_alive(now) && !is_alive(postgres),
        "PostgreSQL is left running"
    );
    assert_eq!(postmaster(&program.data()), None);
    no_log_holds_what_was_said(&log.so_far(), &program.data());
}

fn no_log_holds_what_was_said(log: &str, data: &Path) {
    let words = ["archibald", "cinq kilos"];
    assert_eq!(traces(log.lines(), &words), [""; 0], "the server's log");
    let mut logs = 0;
    for file in files(data)
        .into_iter()
        .filter(|file| file.extension().is_some_and(|end| end == "log"))
    {
        logs += 1;
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert_eq!(traces(text.lines(), &words), [""; 0], "{}", file.display());
    }
    assert!(logs > 0, "PostgreSQL writes a log");
}

async fn already_running_is_said(program: &Program) {
    let second = program.run(&["up", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(second.code, 1, "{second:?}");
    assert!(
        second.stderr.contains("runs already") && second.stderr.contains("hint:"),
        "{}",
        second.stderr
    );
    let second = program.run(&["up", "--listen", "127.0.0.1:0", "--json"]).await;
    let error: serde_json::Value = serde_json::from_str(second.stderr.lines().last().unwrap()).unwrap();
    assert!(text(&error, "/error").contains("runs already"), "{error}");
    assert!(!text(&error, "/hint").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_of_everything_up_recovers() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let program = Program::without_database();
    let server = Server::start(up(&program)).await;
    gyms::gym(&program, "lyon").await;
    let postgres = postmaster(&program.data()).expect("PostgreSQL runs");
    server.kill().await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(postgres), Signal::SIGKILL).unwrap();
    let server = Server::start(up(&program)).await;
    let gyms = program.json(&["gym", "list"]).await;
    assert_eq!(gyms[0]["slug"], "lyon", "{gyms}");
    server.stop(Signal::SIGINT).await;
    assert_eq!(postmaster(&program.data()), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_leaves_postgresql_running_and_the_next_start_takes_it_over() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let program = Program::without_database();
    let port = PortOf::free();
    let number = port.number.to_string();
    let start = || program.command(&["up", "--listen", "127.0.0.1:0", "--pg-port", &number]);
    let server = Server::start(start()).await;
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    let pool = port.admin_pool(&program);
    let brake = Brake::fit(&pool).await;
    brake.set(10.0).await;
    let session = text(&kiosk.open("BADGE_001").await, "/session_id");
    kiosk.say(&session, &[GOAL]).await;
    kiosk.close(&session).await;
    while !brake.holds_something().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let postgres = postmaster(&program.data()).expect("PostgreSQL runs");
    server.send(Signal::SIGTERM);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (status, log) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(130), "{}", log.so_far());
    assert!(is_alive(postgres), "PostgreSQL went with the program");

    let server = Server::start(start()).await;
    assert_eq!(postmaster(&program.data()), Some(postgres));
    brake.take_off().await;
    let gyms = program.json(&["gym", "list"]).await;
    assert_eq!(gyms[0]["slug"], "lyon", "{gyms}");
    server.stop(Signal::SIGTERM).await;
    assert_eq!(postmaster(&program.data()), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_dies_under_a_running_server_comes_back_and_nothing_said_is_lost() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let program = Program::without_database();
    let server = Server::start(up(&program)).await;
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    let session = text(&kiosk.open("BADGE_001").await, "/session_id");
    kiosk.say(&session, &[GOAL]).await;
    let postgres = postmaster(&program.data()).expect("PostgreSQL runs");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(postgres), Signal::SIGKILL).unwrap();

    let begun = Instant::now();
    let close = format!("/api/v1/sessions/{session}/close");
    loop {
        let (status, answer) = kiosk.post(&close, &serde_json::json!({})).await;
        if status == StatusCode::OK {
            break;
        }
        // Every answer until then is a problem that says to try again.
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "PostgreSQL does not come back"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!(
        "the database was back after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let processed = kiosk.processed(&session).await;
    assert_eq!(processed["facts"][0]["category"], "goal", "{processed}");
    let (status, _) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(postmaster(&program.data()), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_that_are_taken_are_named_with_the_way_out() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let program = Program::without_database();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let listen = format!("127.0.0.1:{port}");
    for (arguments, option) in [
        (
            ["up", "--listen", "127.0.0.1:0", "--pg-port", &port].to_vec(),
            "--pg-port",
        ),
        (["up", "--listen", &listen].to_vec(), "--listen"),
    ] {
        let ended = program.run(&arguments).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        for word in [port.as_str(), "hint:", option] {
            assert!(ended.stderr.contains(word), "{word} in {}", ended.stderr);
        }
        assert_eq!(
            postmaster(&program.data()),
            None,
            "nothing is left running after {arguments:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anybody_but_root_runs_up_in_their_home() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    if !Uid::effective().is_root() {
        println!("skipped: every other test runs as this user already");
        return;
    }
    let program = Program::without_database();
    let home = program.folder().join("home");
    std::fs::create_dir(&home).unwrap();
    chown(&home, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).unwrap();
    // The program may stand where only root can enter.
    let copy = program.folder().join("jarvis");
    std::fs::copy(program::path(), &copy).unwrap();
    let mut command = Command::new("setpriv");
    for name in FOREIGN {
        command.env_remove(name);
    }
    command
        .args([
            &format!("--reuid={NOBODY}"),
            &format!("--regid={NOBODY}"),
            "--clear-groups",
            "--",
        ])
        .arg(&copy)
        .args(["up", "--listen", "127.0.0.1:0"])
        .env("HOME", &home)
        .env("JARVIS_PG_DIR", fetched("JARVIS_PG_DIR").unwrap())
        .env_remove("XDG_DATA_HOME")
        .env_remove("XDG_CACHE_HOME")
        .current_dir(&home)
        .kill_on_drop(true);
    let server = Server::start(command).await;
    let data = home.join(".local/share/jarvis");
    let postgres = postmaster(&data).expect("PostgreSQL runs in the home of its user");
    let (status, log) = server.stop(Signal::SIGINT).await;
    assert_eq!(status.code(), Some(0), "{}", log.so_far());
    assert!(!is_alive(postgres), "PostgreSQL is left running");
}
