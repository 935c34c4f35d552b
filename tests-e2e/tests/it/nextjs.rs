//! `examples/nextjs`, built and started as on any host, and used by a manager in a real browser.

use crate::browser::browser;
use crate::gyms;
use crate::program::{Program, text};
use crate::server::Server;
use crate::supabase_js;
use crate::typescript::Checkout;
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

const APPLICATION: &str = "examples/nextjs";
const CLIENT: &str = "clients/typescript";
const EMAIL: &str = "claire@example.org";
const OTHER_EMAIL: &str = "paul@example.org";
/// No server is there: building the application asks nobody.
const NOWHERE: &str = "http://127.0.0.1:9";

/// The application, started.
struct Application {
    child: Child,
    url: String,
    log: tokio::task::JoinHandle<String>,
}

impl Application {
    async fn start(checkout: &Checkout, variables: &[(&str, &str)]) -> Self {
        let next = checkout.path(APPLICATION).join("node_modules/next/dist/bin/next");
        let mut command = checkout.node(APPLICATION, &next, variables);
        command
            .args(["start", "--port", "0", "--hostname", "127.0.0.1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut url = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, address)) = line.split_once("Local:") {
                address.trim().clone_into(&mut url);
            }
            if line.contains("Ready") {
                break;
            }
        }
        assert!(
            url.starts_with("http://127.0.0.1:"),
            "the application starts: {url}"
        );
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = tokio::spawn(async move {
            let mut log = String::new();
            loop {
                let line = tokio::select! {
                    Ok(Some(line)) = lines.next_line() => line,
                    Ok(Some(line)) = errors.next_line() => line,
                    else => return log,
                };
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, url, log }
    }

    /// Ends it; what it wrote meanwhile.
    async fn stop(mut self) -> String {
        self.child.kill().await.unwrap();
        self.log.await.unwrap()
    }
}

/// Sophie of one gym, with a whole profile and everything she agreed to, and the managers of two gyms; their passwords.
async fn people(db: &TestDb, program: &Program) -> [String; 2] {
    gyms::gym(program, "lyon").await;
    gyms::gym(program, "paris").await;
    gyms::member(program, "lyon", "BADGE_001", "Sophie", gyms::EVERYTHING).await;
    gyms::member(program, "paris", "BADGE_001", "Paul", gyms::EVERYTHING).await;
    for statement in [
        "insert into public.member_fitness_profile (member_id, gym_id, fitness_level, primary_goals, height_cm)
         select id, gym_id, 'advanced', array['un marathon'], 171 from public.gym_members_v2",
        "update public.member_preferences set communication_style = 'calm'",
    ] {
        sqlx::query(statement).execute(db.admin_pool()).await.unwrap();
    }
    [
        gyms::person(program, EMAIL, "gym_manager", &["lyon"]).await,
        gyms::person(program, OTHER_EMAIL, "gym_manager", &["paris"]).await,
    ]
}

/// The key with which the application is a kiosk, as its script prints it: id and key.
async fn paired(checkout: &Checkout, program: &Program, url: &str) -> [String; 2] {
    let kiosk = ["kiosk", "add", "Accueil", "--slug", "accueil", "--gym", "lyon"];
    let code = text(&program.json(&kiosk).await, "/pairing_code");
    let variables = [("NEXT_PUBLIC_SUPABASE_URL", url)];
    let printed = checkout
        .script(CLIENT, &["kiosk:pair", "--", &code], &variables)
        .await;
    ["JARVIS_KIOSK_ID=", "JARVIS_KIOSK_KEY="].map(|name| {
        let line = printed.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {printed}"))
            .trim_matches('\'')
            .to_owned()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_works_with_the_example_application() {
    let folders = [(CLIENT, None), (APPLICATION, Some("JARVIS_NEXT_MODULES"))];
    let (Some(browser), Some(checkout)) = (browser(), Checkout::of(&folders)) else {
        return;
    };
    let offline = [("HTTPS_PROXY", NOWHERE), ("HTTP_PROXY", NOWHERE), ("CI", "1")];
    checkout.script(APPLICATION, &["build"], &offline).await;

    let db = TestDb::new().await;
    let program = Program::on(&db);
    let [password, other_password] = people(&db, &program).await;
    let server = Server::serve(&program).await;
    let address = server.address.clone();
    let url = format!("http://{address}");
    let anon = text(&program.json(&["keys"]).await, "/anon_key");
    let [kiosk, key] = paired(&checkout, &program, &url).await;
    let application = [
        ("NEXT_PUBLIC_SUPABASE_URL", url.as_str()),
        ("NEXT_PUBLIC_SUPABASE_ANON_KEY", &anon),
        ("JARVIS_KIOSK_ID", &kiosk),
        ("JARVIS_KIOSK_KEY", &key),
    ];
    let application = Application::start(&checkout, &application).await;

    let browser = browser.display().to_string();
    let (home, state) = (checkout.path(""), checkout.path("state.json"));
    let (home, state) = (home.display().to_string(), state.display().to_string());
    let shots = std::env::var("JARVIS_TEST_SHOTS").unwrap_or_default();
    let variables = [
        ("APP", application.url.as_str()),
        ("BROWSER", &browser),
        ("STATE", &state),
        ("SHOTS", &shots),
        ("HOME", &home),
        ("EMAIL", EMAIL),
        ("PASSWORD", &password),
        ("OTHER_EMAIL", OTHER_EMAIL),
        ("OTHER_PASSWORD", &other_password),
        ("BADGE", "BADGE_001"),
        ("MEMBER", "Martin Sophie"),
        ("KNEE", gyms::KNEE),
        ("GOAL", gyms::GOAL),
    ];
    let step = async |step: &'static str| {
        let variables = [&variables[..], &[("STEP", step)]].concat();
        supabase_js::run("browses.mjs", &variables).await
    };
    let Some(told) = step("work").await else {
        return;
    };
    signs_in(&told);
    remembers(&told);
    stays_inside(&told);

    server.stop(Signal::SIGTERM).await;
    let told = step("away").await.unwrap();
    for page in ["/alert", "/desk"] {
        assert!(text(&told, page).contains("JARVIS ne répond pas"), "{told:#}");
    }
    assert_eq!(told["unlabelled"], json!([]), "{told:#}");
    let server = Server::serve_at(&program, &address).await;
    let told = step("back").await.unwrap();
    assert!(text(&told, "/members").contains("Martin Sophie"), "{told:#}");
    assert_eq!(told["after_leaving"], "/connexion", "{told:#}");

    let logs = application.stop().await + &server.log.so_far();
    for secret in ["genou", &password, &key, "Sophie"] {
        assert!(!logs.contains(secret), "{secret} is in a log:\n{logs}");
    }
}

fn holds(told: &Value, pointer: &str, words: &[&str]) {
    let page = text(told, pointer);
    for word in words {
        assert!(page.contains(word), "{pointer} says nothing of {word}:\n{page}");
    }
}

/// Who comes is asked who they are, and sees their gym.
fn signs_in(told: &Value) {
    assert_eq!(
        (&told["sent_to"], &told["language"]),
        (&json!("/connexion"), &json!("fr"))
    );
    assert_eq!(told["wrong_password"], "Adresse ou mot de passe incorrect.");
    holds(told, "/who", &[EMAIL, "gérance"]);
    holds(
        told,
        "/members",
        &["1 adhérent", "Martin Sophie", "BADGE_001", "Actif"],
    );
    holds(told, "/behind_the_last_page", &["1 adhérent"]);
    holds(told, "/nobody_found", &["Aucun adhérent ne correspond"]);
    for cookie in told["cookies"].as_array().unwrap() {
        assert_eq!(
            (&cookie["httpOnly"], &cookie["sameSite"]),
            (&json!(true), &json!("Lax")),
            "{cookie}"
        );
    }
}

/// The profile is there from the beginning; a conversation becomes facts, a summary and an answer.
fn remembers(told: &Value) {
    let profile = ["un marathon", "avancé", "171 cm", "calme"];
    holds(told, "/before", &profile);
    holds(
        told,
        "/before",
        &["Rien à afficher. Les faits", "Aucune conversation"],
    );
    assert_eq!(
        told["unknown_badge"],
        "Ce badge n’est pas reconnu, ou son adhérent est inactif."
    );
    let remembered = ["Blessure", gyms::KNEE, "Objectif", "21 juin"];
    holds(told, "/closed", &remembered[..3]);
    holds(told, "/closed", &["Mémorisée", "Résumé", "Sophie a dit"]);
    holds(told, "/after", &profile);
    holds(told, "/after", &remembered[..3]);
    holds(told, "/after", &["Sophie a dit", "texte · Mémorisée"]);
    holds(told, "/answer", &[gyms::KNEE]);
    holds(told, "/without_scripts", &[gyms::KNEE]);
    assert_eq!(told["asked_in_the_address"], false);
    assert_eq!(told["english"]["language"], "en");
    holds(
        told,
        "/english/main",
        &["What JARVIS remembers", "Injury", "calm"],
    );
}

/// Nobody sees another gym, nothing is asked of other hosts, and the pages read well by ear and on a phone.
fn stays_inside(told: &Value) {
    assert_eq!(told["not_found"]["status"], 404);
    holds(told, "/not_found/main", &["Page introuvable"]);
    assert_eq!(told["forged"], 403);
    holds(told, "/behind_tls", &["Secure", "HttpOnly"]);
    let other = text(told, "/other_gym/members");
    assert!(
        other.contains("Martin Paul") && !other.contains("Sophie"),
        "{other}"
    );
    assert_eq!(told["other_gym"]["opened"], "/conversations?error=forbidden");
    holds(told, "/other_gym/conversation", &["Page introuvable"]);
    assert_eq!(told["foreign"], json!([]));
    for page in [
        "unlabelled_members",
        "unlabelled_member",
        "unlabelled_conversation",
    ] {
        assert_eq!(told[page], json!([]), "{page}");
    }
    let titles = [
        "Se connecter · JARVIS",
        "Adhérents · JARVIS",
        "Profil · JARVIS",
        "Conversation · JARVIS",
    ];
    assert_eq!(told["titles"].as_array().unwrap()[..4], titles);
    assert_eq!(told["wider_than_a_phone"], false);
    // The page that was looked for in vain, once or again; and a browser asks for this file where an answer names no icon.
    let scripts = told["scripts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s.as_str().unwrap());
    let in_vain = |said: &&str| {
        said.contains("404") && (said.contains("/adherents/00000000-") || said.ends_with("/favicon.ico"))
    };
    let scripts: Vec<&str> = scripts.collect();
    assert!(!scripts.is_empty() && scripts.iter().all(in_vain), "{scripts:?}");
}
