//! What members can ask for, through the built program: a consent withdrawn, everything handed out, a restriction.

use crate::gyms::{self, EVERYTHING, GOAL};
use crate::program::{Program, text};
use crate::server::Server;
use crate::stored::{everything, traces};
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CANARY: &str = "Mon perroquet turquoise s'appelle Archibald et j'ai mal au genou";
const WORDS: [&str; 2] = ["turquoise", "archibald"];

/// Until the removal that a withdrawal asked for is done.
pub async fn removed(program: &Program, badge: &str, gym: &str) -> Value {
    let begun = Instant::now();
    loop {
        let shown = program.json(&["consent", "show", badge, "--gym", gym]).await;
        if shown["withdrawals"][0]["state"] == "completed" {
            return shown;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{shown}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_consent_takes_everything_along_and_everything_can_be_handed_out_before() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let server = Server::serve(&program).await;
    gyms::gym(&program, "lyon").await;
    let member = gyms::member(&program, "lyon", "BADGE_001", "Zoé", EVERYTHING).await;
    gyms::member(&program, "lyon", "BADGE_002", "Julie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    assert_eq!(kiosk.converse("BADGE_001", &[CANARY]).await["state"], "processed");
    assert_eq!(kiosk.converse("BADGE_002", &[GOAL]).await["state"], "processed");

    let folder = program.folder().join("handed-out");
    let to = folder.display().to_string();
    let exported = program
        .json(&["member", "export", "BADGE_001", "--plain", "--to", &to])
        .await;
    let (data, page) = (text(&exported, "/data"), text(&exported, "/page"));
    let data: Value = serde_json::from_str(&std::fs::read_to_string(data).unwrap()).unwrap();
    assert_eq!(data["member_id"], json!(member));
    assert!(
        data["tables"]["public.conversation_events"]
            .to_string()
            .contains("turquoise")
    );
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("turquoise") && page.contains("Vos conversations") && !page.contains("cinq kilos"));
    let again = program
        .run(&["member", "export", "BADGE_001", "--plain", "--to", &to])
        .await;
    assert_eq!(again.code, 2, "{again:?}");
    std::fs::remove_dir_all(&folder).unwrap();

    assert_eq!(
        program
            .json(&["member", "restrict", "BADGE_001", "--reason", "demande 12"])
            .await["changed"],
        true
    );
    assert_eq!(kiosk.open("BADGE_001").await["context"]["facts"], json!([]));
    assert_eq!(
        program.json(&["member", "restrict", "BADGE_001", "--lift"]).await["changed"],
        true
    );
    assert_ne!(kiosk.open("BADGE_001").await["context"]["facts"], json!([]));

    program
        .json(&["consent", "record", "BADGE_001", "--refuse", "memory"])
        .await;
    let shown = removed(&program, "BADGE_001", "lyon").await;
    assert_eq!(shown["withdrawals"][0]["purpose"], "memory");
    let stored = everything(db.admin_pool()).await;
    assert_eq!(traces(stored.iter().map(String::as_str), &WORDS), [""; 0]);
    assert!(!traces(stored.iter().map(String::as_str), &["cinq kilos"]).is_empty());
    let in_files = files_with(program.folder(), &WORDS);
    assert_eq!(in_files, Vec::<String>::new());

    let audit = program.json(&["audit", "list", "--member", "BADGE_001"]).await;
    let actions: Vec<String> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|e| text(e, "/action"))
        .collect();
    for action in [
        "consent.withdraw",
        "consent.grant",
        "restriction.insert",
        "restriction.delete",
        "member.export",
        "member.insert",
        "context.read",
    ] {
        assert!(actions.iter().any(|a| a == action), "{action} in {actions:?}");
    }
    let filtered = program
        .json(&["audit", "list", "--action", "restriction", "--limit", "1"])
        .await;
    assert_eq!(filtered[0]["action"], "restriction.delete", "{filtered}");
    let (_, written) = server.stop(Signal::SIGTERM).await;
    assert_eq!(traces(written.so_far().lines(), &WORDS), [""; 0]);
    retention_is_counted_changed_and_applied(&program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_encrypted_opens_with_the_key_alone_and_goes_with_the_member() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let server = Server::serve(&program).await;
    gyms::gym(&program, "lyon").await;
    let member = gyms::member(&program, "lyon", "BADGE_001", "Zoé", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    assert_eq!(kiosk.converse("BADGE_001", &[CANARY]).await["state"], "processed");
    drop(server);

    let export = ["member", "export", "BADGE_001"];
    let without_key = program.run(&export).await;
    assert_eq!(without_key.code, 2, "{without_key:?}");
    assert!(
        without_key.stderr.contains("jarvis backup key"),
        "{without_key:?}"
    );
    program.json(&["backup", "key"]).await;
    let made = program.json(&export).await;
    assert_eq!(made["encrypted"], true, "{made}");
    let sealed = std::path::PathBuf::from(text(&made, "/data"));
    let folder = sealed.parent().unwrap().to_owned();
    assert!(
        folder.starts_with(program.data().join("exports").join(&member)),
        "{made}"
    );
    assert_eq!(files_with(program.folder(), &WORDS), Vec::<String>::new());

    let (from, to) = (folder.display().to_string(), program.folder().join("usb"));
    let open = ["member", "open-export", &from, "--to", &to.display().to_string()];
    program.json(&["backup", "key", "--to", "other-key"]).await;
    let stranger = program.run(&[&open[..], &["--key", "other-key"]].concat()).await;
    assert_eq!(stranger.code, 2, "{stranger:?}");
    assert!(!to.exists());
    program.json(&open).await;
    for file in ["member.json", "member.html"] {
        let readable = std::fs::read_to_string(to.join(file)).unwrap();
        assert!(readable.contains("turquoise"), "{file}");
    }
    assert_eq!(program.run(&open).await.code, 2, "nothing is replaced");
    std::fs::remove_dir_all(&to).unwrap();
    std::fs::write(&sealed, &std::fs::read(&sealed).unwrap()[..400]).unwrap();
    let cut = program.run(&open).await;
    assert_eq!((cut.code, to.exists()), (1, false), "{cut:?}");

    let erased = program.json(&["member", "erase", "BADGE_001", "--yes"]).await;
    assert_eq!(erased["exports"], 1, "{erased}");
    assert!(!folder.exists());
}

async fn retention_is_counted_changed_and_applied(program: &Program) {
    let due = program.json(&["retention"]).await;
    let events = due
        .as_array()
        .unwrap()
        .iter()
        .find(|d| d["subject"] == "events")
        .unwrap();
    assert_eq!((&events["days"], &events["rows"]), (&json!(90), &json!(0)));
    program.json(&["retention", "--set", "events=60"]).await;
    let unknown = program.run(&["retention", "--set", "dreams=60"]).await;
    assert_eq!(unknown.code, 2, "{unknown:?}");
    let done = program.json(&["retention", "--run"]).await;
    assert!(done.as_array().unwrap().iter().any(|d| d["days"] == 60), "{done}");
}

/// Files under a folder in which one of these words stands.
pub fn files_with(folder: &std::path::Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, words));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            if words.iter().any(|word| text.contains(word)) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}
