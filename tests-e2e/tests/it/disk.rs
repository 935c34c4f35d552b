//! The disk of the database is full: said clearly, nothing acknowledged is lost, and all goes on once there is space.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING, GOAL};
use crate::program::{Program, fetched, text};
use crate::server::Server;
use crate::stored::count;
use crate::storm;
use crate::up::{PortOf, postmaster};
use crate::verdict::wait_until_nothing_is_left_to_do;
use nix::mount::{MsFlags, mount, umount};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use rand::RngExt as _;
use rand::rngs::StdRng;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Room for a fresh cluster and little more.
const SIZE: &str = "size=180m,mode=0755";
/// Everything must be as before this long after there is space again.
const PATIENCE: Duration = Duration::from_mins(2);

/// A disk of its own, so small that it can be filled.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user, or this container, may not mount anything; that is said.
    fn mount(at: PathBuf) -> Option<Self> {
        if !Uid::effective().is_root() {
            println!("skipped: only root can mount a small disk");
            return None;
        }
        std::fs::create_dir(&at).unwrap();
        match mount(Some("tmpfs"), &at, Some("tmpfs"), MsFlags::empty(), Some(SIZE)) {
            Ok(()) => Some(Self(at)),
            Err(error) => {
                println!("skipped: a small disk cannot be mounted here ({error})");
                None
            }
        }
    }

    /// Fills it, but for so many bytes.
    fn fill(&self, leave: u64) {
        let mut file = std::fs::File::create(self.filler()).unwrap();
        let mut block = vec![7_u8; 1 << 20];
        while !block.is_empty() {
            if file.write_all(&block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
        let filled = file.metadata().unwrap().len();
        file.set_len(filled.saturating_sub(leave)).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still stands in it is about to end.
        for _ in 0..50 {
            if umount(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("{} is still mounted", self.0.display());
    }
}

/// 32 KiB that no compression makes smaller by much.
fn noise(chance: &mut StdRng) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..32 << 10)
        .map(|_| char::from(letters[chance.random_range(0..letters.len())]))
        .collect()
}

/// How often PostgreSQL gave itself up, by its log.
fn panics(data: &Path) -> usize {
    let logs = std::fs::read_dir(data.join("postgres")).unwrap().flatten();
    let logs = logs.filter_map(|cluster| std::fs::read_dir(cluster.path().join("log")).ok());
    logs.flatten()
        .flatten()
        .map(|log| {
            String::from_utf8_lossy(&std::fs::read(log.path()).unwrap())
                .matches("PANIC:")
                .count()
        })
        .sum()
}

fn folder_of(disk: &Path) -> String {
    disk.join("data").display().to_string()
}

/// A kiosk whose member says one thing after the other, and what it was promised.
struct Talk {
    kiosk: Caller,
    session: String,
    chance: StdRng,
    acknowledged: BTreeSet<String>,
    number: usize,
}

impl Talk {
    /// Sends events until five requests in a row were refused; the codes.
    async fn until_full(&mut self) -> Vec<String> {
        let begun = Instant::now();
        let mut refusals = Vec::new();
        // Noise, which cannot be compressed, so that what room PostgreSQL has left is used up.
        while refusals.len() < 5 {
            self.number += 1;
            let ids: Vec<String> = (0..20)
                .map(|part| format!("filling-{}-{part}", self.number))
                .collect();
            let chance = &mut self.chance;
            let batch: Vec<Value> = ids
                .iter()
                .map(|id| json!({"event_type": "tool_result", "tool_result": noise(chance), "provider_event_id": id}))
                .collect();
            match self.send(Value::Array(batch), ids).await {
                Ok(()) => refusals.clear(),
                Err(code) => refusals.push(code),
            }
            assert!(begun.elapsed() < PATIENCE, "the disk is never full");
        }
        refusals
    }

    /// Sends the same event until it is taken, as a kiosk does; for how long.
    async fn until_taken(&mut self, words: &str) -> Duration {
        let begun = Instant::now();
        self.number += 1;
        let id = format!("again-{}", self.number);
        let event = json!({"event_type": "user_transcript", "transcript": words, "provider_event_id": id});
        while self.send(event.clone(), vec![id.clone()]).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "it does not come back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        begun.elapsed()
    }

    /// Sends events; when they are refused, the code.
    async fn send(&mut self, events: Value, ids: Vec<String>) -> Result<(), String> {
        let path = format!("/api/v1/sessions/{}/events", self.session);
        let (status, answer) = self.kiosk.post(&path, &events).await;
        match status {
            StatusCode::OK => {
                self.acknowledged.extend(ids);
                Ok(())
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                let code = text(&answer, "/code");
                assert!(
                    ["storage_full", "database_unavailable"].contains(&code.as_str()),
                    "{answer}"
                );
                Err(code)
            }
            other => panic!("{other} {answer}"),
        }
    }

    /// How many acknowledged events are not stored, and how many are stored twice.
    async fn lost_and_doubled(&self, pool: &PgPool) -> (usize, usize) {
        let sent = "select provider_event_id from public.conversation_events
                     where provider_event_id ~ '^(filling|again)-'";
        let stored: Vec<String> = sqlx::query_scalar(sent).fetch_all(pool).await.unwrap();
        let once: BTreeSet<&String> = stored.iter().collect();
        let lost = self.acknowledged.iter().filter(|id| !once.contains(id)).count();
        (lost, stored.len() - once.len())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_loses_nothing_and_is_survived() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let mut program = Program::without_database();
    let Some(disk) = SmallDisk::mount(program.folder().join("disk")) else {
        return;
    };
    program.set("JARVIS_DATA_DIR", &folder_of(&disk.0));
    let port = PortOf::free();
    let number = port.number.to_string();
    let server =
        Server::start(program.command(&["up", "--listen", "127.0.0.1:0", "--pg-port", &number])).await;
    let pool = port.admin_pool_in(&disk.0.join("data"));
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    let (seed, chance) = storm::chance();
    let mut talk = Talk {
        session: text(&kiosk.open("BADGE_001").await, "/session_id"),
        kiosk,
        chance,
        acknowledged: BTreeSet::new(),
        number: 0,
    };
    talk.until_taken(GOAL).await;
    for round in 0..storm::of(1, 6) {
        // Full to the last byte, a table cannot grow. With some space left tables can, and the write-ahead log cannot: then
        // PostgreSQL gives itself up, and cannot even recover before there is space.
        disk.fill(if round % 2 == 0 { 12 << 20 } else { 0 });
        let refusals = talk.until_full().await;
        disk.free();
        let back = talk.until_taken("Encore là").await;
        println!(
            "round {round}: {refusals:?}; back after {:.1} s",
            back.as_secs_f64()
        );
    }
    talk.kiosk.close(&talk.session).await;
    let restarts = server.log.so_far().matches("PostgreSQL ended by itself").count();
    wait_until_nothing_is_left_to_do(&pool).await;
    let (lost, doubled) = talk.lost_and_doubled(&pool).await;
    assert_eq!((lost, doubled), (0, 0));
    let processed = talk.kiosk.processed(&talk.session).await;
    assert_eq!(processed["state"], "processed", "{processed}");
    assert_eq!(
        count(&pool, "select count(*) from public.conversation_summaries").await,
        1
    );
    storm::report(
        "disk",
        &[
            ("seed", json!(seed)),
            ("times_full", json!(storm::of(1, 6))),
            ("postgresql_panics", json!(panics(&disk.0.join("data")))),
            ("postgresql_started_again_by_us", json!(restarts)),
            ("acknowledged", json!(talk.acknowledged.len())),
            ("lost", json!(lost)),
            ("doubled", json!(doubled)),
        ],
    );
    let (status, log) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0), "{}", log.so_far());
    assert_eq!(postmaster(&disk.0.join("data")), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_full_disk_says_so_and_harms_nothing() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let mut program = Program::without_database();
    let Some(disk) = SmallDisk::mount(program.folder().join("disk")) else {
        return;
    };
    program.set("JARVIS_DATA_DIR", &folder_of(&disk.0));
    disk.fill(0);
    let refused = program.json_error(&["up", "--listen", "127.0.0.1:0"]).await;
    assert!(text(&refused, "/error").contains("no space left"), "{refused}");
    assert!(text(&refused, "/hint").contains("free some space"), "{refused}");
    disk.free();
    let server = Server::start(program.command(&["up", "--listen", "127.0.0.1:0"])).await;
    let (status, _) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0));
}
