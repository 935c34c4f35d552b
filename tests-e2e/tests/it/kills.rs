//! The server and its database are killed again and again while kiosks talk. What was acknowledged is there, once.

use crate::brake::Brake;
use crate::program::{Program, fetched};
use crate::server::{Server, children_of};
use crate::storm;
use crate::traffic::{self, Crowd, Traffic};
use crate::up::{PortOf, postmaster};
use crate::verdict::judge;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// The jobs of a killed worker are free again after this time.
const LEASE_SECONDS: &str = "2";
/// A kiosk repeats a request for at most this long.
const PATIENCE: Duration = Duration::from_mins(2);

/// When to shoot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Aim {
    Anywhere,
    WhileRecording,
    WhileClosing,
    /// Facts are written, the summary is not, nothing is committed.
    InTheFinalTransaction,
}

/// At what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    /// `jarvis` alone; its PostgreSQL lives on and is taken over.
    Server,
    /// The postmaster alone, under a running server, which starts it again.
    Postmaster,
    /// `jarvis`, the postmaster and each of its processes, as if the machine had died.
    Everything,
}

/// One round: twelve kills.
const ROUND: [(Aim, Victim); 12] = [
    (Aim::Anywhere, Victim::Server),
    (Aim::WhileRecording, Victim::Server),
    (Aim::WhileClosing, Victim::Server),
    (Aim::InTheFinalTransaction, Victim::Server),
    (Aim::WhileRecording, Victim::Postmaster),
    (Aim::Anywhere, Victim::Server),
    (Aim::WhileRecording, Victim::Server),
    (Aim::WhileClosing, Victim::Server),
    (Aim::InTheFinalTransaction, Victim::Server),
    (Aim::Anywhere, Victim::Everything),
    (Aim::Anywhere, Victim::Server),
    (Aim::WhileClosing, Victim::Server),
];

/// Waits until the moment to kill; false when it did not come.
async fn take_aim(aim: Aim, traffic: &Traffic, brake: &Brake<'_>, chance: &mut StdRng) -> bool {
    let wait = |from, to, chance: &mut StdRng| Duration::from_millis(chance.random_range(from..to));
    // Let the kiosks come back from the last kill.
    tokio::time::sleep(wait(100, 900, chance)).await;
    let doing = match aim {
        Aim::Anywhere => return true,
        Aim::WhileRecording => Some(&traffic.recording),
        Aim::WhileClosing => Some(&traffic.closing),
        Aim::InTheFinalTransaction => None,
    };
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        let now = match doing {
            Some(doing) => doing.load(Ordering::Relaxed) > 0,
            None => brake.holds_something().await,
        };
        if now {
            tokio::time::sleep(wait(0, 6, chance)).await;
            return true;
        }
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    false
}

fn up(program: &Program, listen: &str, port: u16) -> Command {
    program.command(&["up", "--listen", listen, "--pg-port", &port.to_string()])
}

fn shoot(pid: i32) {
    // Who is gone already needs no shot.
    let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// The postmaster; after the last shot it may just be starting again.
async fn running_postmaster(program: &Program) -> i32 {
    let begun = Instant::now();
    loop {
        if let Some(pid) = postmaster(&program.data()) {
            return pid;
        }
        assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Kills, and sees to it that the server runs again afterwards, at the same place.
async fn strike(victim: Victim, server: Server, program: &Program, port: u16) -> Server {
    let address = server.address.clone();
    let postgres = running_postmaster(program).await;
    match victim {
        Victim::Postmaster => {
            shoot(postgres);
            return server;
        }
        Victim::Server => drop(server.kill().await),
        Victim::Everything => {
            let family = children_of(postgres);
            shoot(postgres);
            family.into_iter().for_each(shoot);
            server.kill().await;
        }
    }
    Server::start(up(program, &address, port)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_any_moment_lose_nothing_and_double_nothing() {
    if fetched("JARVIS_E5_WEIGHTS").is_none() || fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let (seed, mut chance) = storm::chance();
    let mut program = Program::without_database();
    program.set("JARVIS_JOB_LEASE_SECONDS", LEASE_SECONDS);
    let port = PortOf::free();
    let mut server = Server::start(up(&program, "127.0.0.1:0", port.number)).await;
    let pool = port.admin_pool(&program);
    let gyms = traffic::gyms(&program, &server, 2, 2, 3).await;
    let brake = Brake::fit(&pool).await;

    let crowd = Crowd::start(&gyms, &[&server.address], PATIENCE, &mut chance);
    let begun = Instant::now();
    let mut hits: BTreeMap<(Aim, Victim), usize> = BTreeMap::new();
    let plan: Vec<_> = ROUND.iter().cycle().take(storm::of(12, 60)).collect();
    for (aim, victim) in &plan {
        let inside = *aim == Aim::InTheFinalTransaction;
        brake.set(if inside { 0.3 } else { 0.0 }).await;
        if take_aim(*aim, &crowd.traffic, &brake, &mut chance).await {
            *hits.entry((*aim, *victim)).or_default() += 1;
        }
        server = strike(*victim, server, &program, port.number).await;
    }
    brake.set(0.0).await;
    let took = begun.elapsed();
    let traffic = crowd.traffic.clone();
    let held = crowd.stop().await;
    brake.take_off().await;
    let verdict = judge(&program, &pool, &held).await;
    let of = |wanted: &dyn Fn(Aim, Victim) -> bool| -> usize {
        let counted = hits.iter().filter(|((aim, victim), _)| wanted(*aim, *victim));
        counted.map(|(_, hits)| hits).sum()
    };
    let inside = of(&|aim, _| aim == Aim::InTheFinalTransaction);
    let postmasters = of(&|_, victim| victim != Victim::Server);
    let cut_off = traffic.cut_off.load(Ordering::Relaxed);
    println!("{} kills in {:.1} s: {hits:?}", plan.len(), took.as_secs_f64());
    verdict.report(
        "kills",
        &[
            ("seed", json!(seed)),
            ("kills", json!(plan.len())),
            ("with_postmaster", json!(postmasters)),
            ("in_final_transaction", json!(inside)),
            ("requests_cut_off", json!(cut_off)),
            (
                "answers_lost_events_kept",
                json!(traffic.repeated.load(Ordering::Relaxed)),
            ),
        ],
    );
    let (rounds, missed) = (plan.len() / ROUND.len(), plan.len() - of(&|_, _| true));
    assert_eq!(
        (postmasters, inside),
        (2 * rounds, 2 * rounds),
        "missed: {hits:?}"
    );
    assert!(missed <= rounds, "missed too often: {hits:?}");
    assert!(
        cut_off > 0,
        "no request was ever cut off: nothing was put to the test"
    );
    server.stop(Signal::SIGTERM).await;
}
