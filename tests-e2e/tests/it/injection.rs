//! Every attack of the corpus against the built program, with a canary that must not get out: not into a log, a metric,
//! an error, a job, an alert, a report, and to no other member.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING, GOAL, KNEE};
use crate::privacy::files_with;
use crate::program::{Program, text};
use crate::server::Server;
use crate::stored::{everything, traces};
use crate::watched::{get, metrics_url};
use jarvis_testkit::{Answer, FakeOpenAi, FakeOptions, TestDb};
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Said, typed or written together with every attack.
const CANARY: &str = "zanzibar";

/// The attacks of one channel, each with the canary.
fn attacks(channel: &str) -> Vec<String> {
    let corpus = include_str!("../../../crates/jarvis-memory/eval/injection.json");
    let corpus: Value = serde_json::from_str(corpus).unwrap();
    let attacks = corpus["attacks"].as_array().unwrap().iter();
    let of_channel = attacks.filter(|attack| attack["channel"] == channel);
    let all: Vec<_> = of_channel
        .map(|attack| format!("{} {CANARY}", text(attack, "/text")))
        .collect();
    assert!(all.len() >= 6, "{channel}");
    all
}

/// Where what was said or typed stays as it was: the turns, and what staff wrote of a member.
const KEPT: [&str; 3] = [
    "public.conversation_events: ",
    "public.gym_members_v2: ",
    "public.member_fitness_profile: ",
];

struct Stage {
    db: TestDb,
    fake: FakeOpenAi,
    program: Program,
    server: Server,
    metrics: String,
    kiosk: Caller,
}

impl Stage {
    /// Sophie, who attacks, and Léo beside her, in a gym that lets a model read its conversations.
    async fn new() -> Self {
        let fake = FakeOpenAi::start(FakeOptions::default()).await.unwrap();
        let db = TestDb::new().await;
        let mut program = Program::on(&db);
        program.set("JARVIS_LOG", "trace");
        program.set("JARVIS_METRICS_LISTEN", "127.0.0.1:0");
        program.set("JARVIS_CHAT", "openai");
        program.set("JARVIS_OPENAI_BASE_URL", &fake.base_url());
        program.set("JARVIS_OPENAI_API_KEY", "sk-of-the-test");
        let server = Server::serve(&program).await;
        let metrics = metrics_url(&server.log).await;
        gyms::gym(&program, "lyon").await;
        gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
        gyms::member(&program, "lyon", "BADGE_002", "Léo", EVERYTHING).await;
        let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
        Self {
            db,
            fake,
            program,
            server,
            metrics,
            kiosk,
        }
    }

    /// What the kiosk is told at the next badge, and what memory answers to the canary: nothing of it.
    async fn assert_contained(&self, badge: &str, attack: &str) {
        let opened = self.kiosk.open(badge).await;
        let told = opened.to_string();
        assert!(!told.to_lowercase().contains(CANARY), "{badge}, {attack}: {told}");
        let session = text(&opened, "/session_id");
        let (status, recalled) = self
            .kiosk
            .get(&format!("/api/v1/sessions/{session}/recall?q={CANARY}"))
            .await;
        assert_eq!(status, StatusCode::OK, "{recalled}");
        let memories = json!([recalled["memories"], recalled["turns"]]).to_string();
        assert!(
            !memories.to_lowercase().contains(CANARY),
            "{badge}, {attack}: {memories}"
        );
    }

    /// Speech, and what a tool answered.
    async fn speech(&self) {
        let spoken = attacks("speech");
        let mut turns: Vec<&str> = spoken.iter().map(String::as_str).collect();
        turns.push(KNEE);
        let session = text(&self.kiosk.open("BADGE_001").await, "/session_id");
        self.kiosk.say(&session, &turns).await;
        for (number, attack) in attacks("model").iter().enumerate() {
            let event = json!({
                "event_type": "tool_result", "tool_name": "gym_hours", "tool_result": { "said": attack },
                "provider_event_id": format!("{session}-tool-{number}"),
            });
            let path = format!("/api/v1/sessions/{session}/events");
            let (status, answer) = self.kiosk.post(&path, &event).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
        }
        self.kiosk.close(&session).await;
        let done = self.kiosk.processed(&session).await;
        assert_eq!(done["state"], "processed", "{done}");
        assert!(
            done["notes"].to_string().contains("injection_quarantined"),
            "{done}"
        );
        let made = json!([done["facts"], done["summary"]]).to_string();
        assert!(
            made.contains("knee_right_pain") && !made.contains(CANARY),
            "{made}"
        );
        let alone = self.kiosk.converse("BADGE_001", &[&spoken[0]]).await;
        assert_eq!(
            (&alone["state"], &alone["state_reason"]),
            (&json!("empty"), &json!("quarantined")),
            "{alone}"
        );
        self.assert_contained("BADGE_001", "speech").await;
    }

    /// Names at enrolment, and what staff typed into the fields of a member.
    async fn names_and_notes(&self) {
        for (number, attack) in attacks("name").iter().enumerate() {
            let badge = format!("BADGE_1{number}");
            gyms::member(&self.program, "lyon", &badge, attack, EVERYTHING).await;
            let done = self.kiosk.converse(&badge, &[GOAL]).await;
            assert_eq!(done["state"], "processed", "{done}");
            assert!(!done["summary"].to_string().contains(CANARY), "{done}");
            let opened = self.kiosk.open(&badge).await;
            assert!(
                !opened["context"].to_string().contains(CANARY),
                "{attack}: {opened}"
            );
        }
        for attack in attacks("note") {
            for sql in [
                "update public.gym_members_v2 set member_notes = $1 where badge_id = 'BADGE_001'",
                "insert into public.member_fitness_profile (member_id, primary_goals)
                 select id, array[$1] from public.gym_members_v2 where badge_id = 'BADGE_001'
                 on conflict (member_id) do update set primary_goals = excluded.primary_goals",
            ] {
                sqlx::query(sql)
                    .bind(&attack)
                    .execute(self.db.admin_pool())
                    .await
                    .unwrap();
            }
            self.assert_contained("BADGE_001", &attack).await;
        }
    }

    /// What a model writes: in the summary, in facts and topics, and instead of an answer.
    async fn model_output(&self) {
        let allow = ["gym", "external-models", "allow", "--gym", "lyon"];
        self.program.json(&allow).await;
        for (number, attack) in attacks("model").into_iter().enumerate() {
            let mut answers = vec![
                Answer::Json(answer(&attack, "music", "", &[])),
                Answer::Json(answer("Le membre veut maigrir.", &attack, &attack, &[&attack])),
            ];
            if number == 0 {
                answers.extend([Answer::Raw(attack.clone()), Answer::Refusal(attack.clone())]);
            }
            for answer in answers {
                self.fake.answer("session_memory", answer);
                let asked = self.fake.requests().len();
                let done = self.kiosk.converse("BADGE_001", &[GOAL]).await;
                assert_eq!(self.fake.requests().len(), asked + 1, "the model was asked");
                assert_eq!(done["state"], "processed", "{done}");
                assert!(
                    !done.to_string().to_lowercase().contains(CANARY),
                    "{attack}: {done}"
                );
            }
            self.assert_contained("BADGE_001", &attack).await;
        }
    }

    /// What others see, and what operators read.
    async fn assert_nothing_got_out(self) {
        self.assert_contained("BADGE_002", "everything").await;
        let to = self.program.folder().join("of-leo").display().to_string();
        self.program
            .json(&["member", "export", "BADGE_002", "--plain", "--to", &to])
            .await;
        let mut seen = vec![("metrics".to_owned(), get(&self.metrics).await.1)];
        for arguments in [
            ["doctor", "--json"].as_slice(),
            &["session", "list", "--gym", "lyon"],
            &[
                "session",
                "list",
                "--note",
                "injection_quarantined",
                "--gym",
                "lyon",
            ],
            &["audit", "list", "--gym", "lyon", "--json"],
            &["fact", "list", "BADGE_001", "--gym", "lyon", "--json"],
            &["recall", "BADGE_002", CANARY, "--gym", "lyon"],
            &["recall", "BADGE_001", CANARY, "--gym", "lyon"],
        ] {
            let ended = self.program.run(arguments).await;
            assert!([0, 3].contains(&ended.code), "{arguments:?}: {ended:?}");
            // What was asked for may be repeated on the terminal that asked.
            let stdout = if arguments[0] == "recall" {
                ended.stdout.replace(&format!("“{CANARY}”"), "")
            } else {
                ended.stdout
            };
            seen.push((arguments.join(" "), stdout + &ended.stderr));
        }
        assert_eq!(files_with(self.program.folder(), &[CANARY]), Vec::<String>::new());
        let stored = everything(self.db.admin_pool()).await;
        let (kept, made): (Vec<_>, Vec<_>) = stored
            .into_iter()
            .partition(|row| KEPT.iter().any(|table| row.starts_with(table)));
        assert!(!traces(kept.iter().map(String::as_str), &[CANARY]).is_empty());
        assert_eq!(traces(made.iter().map(String::as_str), &[CANARY]), [""; 0]);
        let stdout = self.server.stdout.clone();
        let (status, log) = self.server.stop(Signal::SIGTERM).await;
        assert_eq!(status.code(), Some(0));
        let log = log.so_far();
        assert!(
            log.contains("TRACE") && log.contains("/api/v1/sessions"),
            "the log tells everything"
        );
        seen.extend([
            ("the log".to_owned(), log),
            ("stdout".to_owned(), stdout.so_far()),
        ]);
        for (place, said) in seen {
            assert_eq!(traces(said.lines(), &[CANARY]), [""; 0], "{place}");
        }
    }
}

/// An answer that fits the schema: the fact that the member told, with this detail and key.
fn answer(summary: &str, key: &str, detail: &str, topics: &[&str]) -> Value {
    json!({
        "facts": [{
            "category": "preference", "fact_key": key, "turn": 0, "source_quote": GOAL,
            "value": { "subject": "music", "stance": null, "detail": detail },
            "hedged": false, "still_true": true, "about_health": false,
        }],
        "summary": summary, "key_topics": topics, "sentiment": "neutral", "sentiment_score": 0.1,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_attack_gets_its_canary_out_of_the_turn_the_name_or_the_answer_it_came_in() {
    let stage = Stage::new().await;
    assert_eq!(
        stage.kiosk.converse("BADGE_002", &[GOAL]).await["state"],
        "processed"
    );
    stage.speech().await;
    stage.names_and_notes().await;
    stage.model_output().await;
    stage.assert_nothing_got_out().await;
}
