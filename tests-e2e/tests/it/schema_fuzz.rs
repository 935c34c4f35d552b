//! Requests made from the OpenAPI document, valid and broken ones, by every kind of caller, against a real server.
//!
//! Schemathesis makes them; its findings fail the test. `make fuzz` does the same for longer, with another seed.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING, GOAL, KNEE};
use crate::program::{Folder, Program, fetched, text};
use crate::server::Server;
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use tokio::process::Command;
use tokio::task::JoinSet;

/// The same requests every time, unless `JARVIS_FUZZ_SEED` says otherwise.
const SEED: &str = "20261122";
/// Requests per operation and phase; `JARVIS_FUZZ_EXAMPLES` says otherwise.
const EXAMPLES: &str = "12";

/// One kind of caller, and what exists for it.
struct Persona {
    name: &'static str,
    token: String,
    sessions: Vec<String>,
    members: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_that_the_document_allows_or_forbids_is_answered_otherwise_than_it_says() {
    let Some(tool) = fetched("JARVIS_SCHEMATHESIS") else {
        return;
    };
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    // Limits are counted by address, and every request brings one of its own.
    program.set("JARVIS_TRUSTED_PROXIES", "127.0.0.1");
    // The share of a gym must not hide the API from what tries it.
    program.set("JARVIS_GYM_REQUESTS_PER_MINUTE", "1000000");
    let server = Server::serve(&program).await;
    let mut runs = JoinSet::new();
    let personas = personas(&program, &server).await;
    let passes: Vec<_> = personas.iter().map(|p| (p.name, p.token.clone())).collect();
    for persona in personas {
        let (tool, address) = (tool.clone(), server.address.clone());
        runs.spawn(async move { (persona.name, fuzz(&tool, &address, &persona).await) });
    }
    let mut failed = Vec::new();
    while let Some(run) = runs.join_next().await {
        let (name, output) = run.unwrap();
        println!("== {name}\n{}", String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            println!("{}", String::from_utf8_lossy(&output.stderr));
            failed.push(name);
        }
    }
    for (name, token) in passes {
        let (status, told) = Caller::new(&server.address, &token).get("/api/v1/me").await;
        let known = status != StatusCode::UNAUTHORIZED;
        assert_eq!(known, name != "nobody", "as {name} to the end: {told}");
    }
    assert!(
        failed.is_empty(),
        "found something as {failed:?}; it is told above"
    );
    let (status, log) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0));
    assert!(!log.so_far().contains("panicked"), "{}", log.so_far());
}

/// Nobody, two people and a kiosk of one gym, with a conversation that is open and one that is remembered.
async fn personas(program: &Program, server: &Server) -> Vec<Persona> {
    gyms::gym(program, "lyon").await;
    let sophie = gyms::member(program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    gyms::member(program, "lyon", "BADGE_002", "Karim", "memory").await;
    let mut personas = Vec::new();
    for (name, slug) in [
        ("kiosk", "entree"),
        ("manager", "bureau"),
        ("staff", "accueil"),
        ("nobody", "etage"),
    ] {
        let kiosk = gyms::kiosk(program, server, "lyon", slug).await.caller;
        let remembered = kiosk.converse("BADGE_001", &[KNEE, GOAL]).await;
        let open = kiosk.open("BADGE_001").await;
        let sessions = [&remembered, &open].map(|session| text(session, "/session_id"));
        let token = match name {
            "kiosk" => kiosk.token,
            "nobody" => String::new(),
            role => {
                let email = format!("{role}@example.org");
                let password = gyms::person(program, &email, &format!("gym_{role}"), &["lyon"]).await;
                Caller::sign_in(&server.address, &email, &password).await.token
            }
        };
        personas.push(Persona {
            name,
            token,
            sessions: sessions.to_vec(),
            members: vec![sophie.clone()],
        });
    }
    personas
}

async fn fuzz(tool: &Path, address: &str, persona: &Persona) -> Output {
    let folder = Folder::new();
    let config = folder.path().join("schemathesis.toml");
    std::fs::write(&config, config_of(persona)).unwrap();
    let mut command = Command::new(setting("JARVIS_TEST_PYTHON", "python3"));
    command
        .env("PYTHONPATH", tool)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path())
        .args(["-m", "schemathesis.cli"])
        .arg("--config-file")
        .arg(&config)
        .args(["run", &format!("http://{address}/api/v1/openapi.json")])
        .args(["--seed", &setting("JARVIS_FUZZ_SEED", SEED)])
        .args(["--max-examples", &setting("JARVIS_FUZZ_EXAMPLES", EXAMPLES)])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    std::fs::write(folder.path().join("hooks.py"), HOOKS).unwrap();
    command.output().await.expect("python3 starts")
}

fn setting(name: &str, otherwise: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| otherwise.to_owned())
}

const HOOKS: &str = include_str!("../../fuzz/hooks.py");
const CONFIG: &str = include_str!("../../fuzz/schemathesis.toml");

/// The configuration for one persona.
fn config_of(persona: &Persona) -> String {
    let mut text = CONFIG.to_owned();
    let ids: Vec<_> = persona.sessions.iter().chain(&persona.members).collect();
    write!(
        text,
        "\n[dictionaries]\nids = {{ values = {ids:?} }}\nbadges = {{ values = [\"BADGE_001\", \"badge_002 \"] }}\n"
    )
    .unwrap();
    if !persona.token.is_empty() {
        for scheme in ["kiosk", "person"] {
            write!(
                text,
                "\n[auth.openapi.{scheme}]\nbearer = \"{}\"\n",
                persona.token
            )
            .unwrap();
        }
    }
    text
}
