//! The three acts by which a member leaves, wholly or in part: a consent withdrawn, a fact forgotten, the member erased.
//! What was said went through the whole program before, and must be nowhere afterwards.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING, GOAL};
use crate::privacy::{files_with, removed};
use crate::program::{Program, text};
use crate::server::Server;
use crate::stored::{count, everything, traces};
use crate::watched::{get, metrics_url};
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Who is in the gyms: badge, gym, what they say of their health and what else, each with a word that nobody else says.
struct Person {
    badge: &'static str,
    gym: &'static str,
    health: &'static str,
    harmless: &'static str,
    words: [&'static str; 2],
}

/// Who leaves.
const LEAVING: Person = Person {
    badge: "BADGE_001",
    gym: "lyon",
    health: "J'ai une tendinite à l'épaule gauche depuis octobre",
    harmless: "Je préfère écouter de la musique zarzuela pendant mes séances",
    words: ["tendinite", "zarzuela"],
};

/// Beside them in the same gym, and under the same badge in another one.
const NEIGHBOURS: [Person; 2] = [
    Person {
        badge: "BADGE_002",
        gym: "lyon",
        health: "J'ai une sciatique du côté droit depuis octobre",
        harmless: "Je préfère écouter de la musique flamenco pendant mes séances",
        words: ["sciatique", "flamenco"],
    },
    Person {
        badge: "BADGE_001",
        gym: "paris",
        health: "J'ai un lumbago depuis octobre",
        harmless: "Je préfère écouter de la musique fado pendant mes séances",
        words: ["lumbago", "fado"],
    },
];

/// What others than our program write of a member: alerts; facts that look alike; jobs in every final state; a bill; and a table of the operator's own, on the data map as the pages say.
const PLANTED: &str = "
    insert into public.manager_alerts (gym_id, member_id, alert_type, priority, title, description, context)
    select m.gym_id, m.id, k.type, 'high', 'À voir', k.said, jsonb_build_object('quote', k.said)
      from public.gym_members_v2 m join public.gyms g on g.id = m.gym_id,
           (values ('health_concern', '{health}'), ('negative_feedback', '{harmless}')) as k (type, said)
     where m.badge_id = '{badge}' and g.slug = '{gym}';
    insert into public.member_facts (gym_id, member_id, category, fact_key, fact_value, source_quote, source_session_id)
    select s.gym_id, s.member_id, 'preference', k.key, jsonb_build_object('subject', '{word1}', 'detail', k.key), '{harmless}', s.session_id
      from public.conversation_sessions s join public.gym_members_v2 m on m.id = s.member_id
      join public.gyms g on g.id = m.gym_id, (values ('favourite_music'), ('favourite_sound')) as k (key)
     where m.badge_id = '{badge}' and g.slug = '{gym}' order by s.started_at limit 2;
    insert into jarvis.jobs (kind, unique_key, gym_id, args, state, finished_at, attempt, last_error, errors)
    select 'memory.process_session', null, s.gym_id, jsonb_build_object('gym', s.gym_id, 'session', s.session_id), k.state,
           now(), 1, 'E_STORE', '[{\"error\": \"E_STORE\"}]'
      from public.conversation_sessions s join public.gym_members_v2 m on m.id = s.member_id
      join public.gyms g on g.id = m.gym_id, (values ('completed'), ('discarded'), ('cancelled')) as k (state)
     where m.badge_id = '{badge}' and g.slug = '{gym}';
    insert into club.lockers select m.id, m.gym_id, s.session_id, '{health} / {harmless}'
      from public.conversation_sessions s join public.gym_members_v2 m on m.id = s.member_id
      join public.gyms g on g.id = m.gym_id where m.badge_id = '{badge}' and g.slug = '{gym}'";

const CLUB: &str = "
    create schema club;
    create table club.lockers (member_id uuid, gym_id uuid, session_id text, note text);
    grant usage on schema club to jarvis_writer;
    grant select, delete on club.lockers to jarvis_writer;
    insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
    select 'club', 'lockers', c.name, 'health', '1 an', true, 'avec le membre'
      from (values ('member_id'), ('gym_id'), ('session_id'), ('note')) as c (name)";

struct Stage {
    db: TestDb,
    program: Program,
    server: Server,
    metrics: String,
    member: String,
    /// What was stored of the others before the act.
    neighbours: BTreeSet<String>,
    /// Vectors that were made of each of the words, before the act.
    vectors: [BTreeSet<String>; 2],
}

impl Stage {
    /// Everybody has spoken, and the one who leaves twice; they have been handed out everything.
    async fn new() -> Self {
        let db = TestDb::new().await;
        let mut program = Program::on(&db);
        program.set("JARVIS_LOG", "trace");
        program.set("JARVIS_METRICS_LISTEN", "127.0.0.1:0");
        sqlx::raw_sql(CLUB).execute(db.admin_pool()).await.unwrap();
        let server = Server::serve(&program).await;
        let metrics = metrics_url(&server.log).await;
        let mut kiosks = Vec::new();
        for gym in ["lyon", "paris"] {
            gyms::gym(&program, gym).await;
            kiosks.push(gyms::kiosk(&program, &server, gym, gym).await.caller);
        }
        let mut ids = Vec::new();
        for person in [&LEAVING].into_iter().chain(&NEIGHBOURS) {
            ids.push(gyms::member(&program, person.gym, person.badge, "Zoé", EVERYTHING).await);
            let kiosk = &kiosks[usize::from(person.gym == "paris")];
            converse(kiosk, person, &[person.health, person.harmless, GOAL]).await;
            if person.badge == LEAVING.badge && person.gym == LEAVING.gym {
                converse(kiosk, person, &[person.harmless, person.health]).await;
            }
            let planted = [
                ("{badge}", person.badge),
                ("{gym}", person.gym),
                ("{health}", &person.health.replace('\'', "''")),
                ("{harmless}", person.harmless),
                ("{word1}", person.words[1]),
            ];
            let planted = planted
                .iter()
                .fold(PLANTED.to_owned(), |sql, (name, with)| sql.replace(name, with));
            sqlx::raw_sql(sqlx::AssertSqlSafe(planted))
                .execute(db.admin_pool())
                .await
                .unwrap();
        }
        program.json(&["backup", "key"]).await;
        program
            .json(&["member", "export", LEAVING.badge, "--gym", "lyon"])
            .await;
        let stage = Self {
            neighbours: of_others(&db).await,
            vectors: [
                vectors(&db, LEAVING.words[0]).await,
                vectors(&db, LEAVING.words[1]).await,
            ],
            member: ids.swap_remove(0),
            db,
            program,
            server,
            metrics,
        };
        stage.assert_everything_was_stored().await;
        stage
    }

    /// A word that is stored nowhere would prove nothing.
    async fn assert_everything_was_stored(&self) {
        let stored = everything(self.db.admin_pool()).await;
        for word in LEAVING.words {
            let tables: BTreeSet<&str> = traces(stored.iter().map(String::as_str), &[word])
                .iter()
                .filter_map(|row| row.split(": ").next())
                .collect();
            for table in [
                "public.conversation_events",
                "public.conversation_summaries",
                "public.member_facts",
                "public.manager_alerts",
                "jarvis.member_fact_history",
                "jarvis.memory_windows",
                "club.lockers",
            ] {
                assert!(tables.contains(table), "{word} is not in {table}: {tables:?}");
            }
        }
        let proposed = stored
            .iter()
            .any(|row| row.starts_with("jarvis.fact_proposals: ") && row.contains(&self.member));
        assert!(proposed && self.exports().exists());
    }

    fn exports(&self) -> std::path::PathBuf {
        self.program.data().join("exports").join(&self.member)
    }
}

/// A conversation in which the assistant calls a tool with what was said.
async fn converse(kiosk: &Caller, person: &Person, sentences: &[&str]) {
    let session = text(&kiosk.open(person.badge).await, "/session_id");
    kiosk.say(&session, sentences).await;
    let events = json!([
        { "event_type": "tool_call", "tool_name": "note", "tool_args": { "said": person.harmless } },
        { "event_type": "tool_result", "tool_name": "note", "tool_result": { "noted": person.health } },
        { "event_type": "ai_transcript", "transcript": format!("C'est noté : {}.", person.harmless), "turn_number": 20 },
    ]);
    let (status, answer) = kiosk
        .post(&format!("/api/v1/sessions/{session}/events"), &events)
        .await;
    assert_eq!(
        (status.as_u16(), &answer["rejected"]),
        (200, &json!([])),
        "{answer}"
    );
    kiosk.close(&session).await;
    let done = kiosk.processed(&session).await;
    assert_eq!(done["state"], "processed", "{done}");
}

/// What is stored of the others.
async fn of_others(db: &TestDb) -> BTreeSet<String> {
    let words: Vec<&str> = NEIGHBOURS.iter().flat_map(|n| n.words).collect();
    let stored = everything(db.admin_pool()).await;
    let theirs = traces(stored.iter().map(String::as_str), &words);
    theirs.into_iter().map(str::to_owned).collect()
}

/// Every vector of a row in which the word stands, and of the rows that search finds by it.
async fn vectors(db: &TestDb, word: &str) -> BTreeSet<String> {
    let found: Vec<String> = sqlx::query_scalar(
        "select embedding::text from public.conversation_summaries where summary_text ilike $1 and embedding is not null
         union select v.emb::text from jarvis.summary_vectors v
                 join public.conversation_summaries s on s.id = v.summary_id where s.summary_text ilike $1
         union select embedding::text from jarvis.memory_windows where said ilike $1 and embedding is not null",
    )
    .bind(format!("%{word}%"))
    .fetch_all(db.admin_pool())
    .await
    .unwrap();
    assert!(found.len() >= 4, "{word}: summaries, and turns");
    found.into_iter().collect()
}

impl Stage {
    /// Until no conversation waits for its memory.
    async fn settled(&self) {
        let begun = Instant::now();
        let waiting = "select count(*) from public.conversation_sessions where state in ('open', 'closing')";
        while count(self.db.admin_pool(), waiting).await > 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "conversations wait for their memory"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The words are in no table, vector, history, job, log, metric, answer or file; those that `stay` are where they were;
    /// and the others have lost nothing.
    async fn assert_gone(self, gone: &[usize], stay: &[usize]) {
        self.settled().await;
        let words: Vec<&str> = gone.iter().map(|n| LEAVING.words[*n]).collect();
        let stored = everything(self.db.admin_pool()).await;
        assert_eq!(traces(stored.iter().map(String::as_str), &words), [""; 0]);
        for number in gone {
            let left = self.vectors[*number]
                .iter()
                .filter(|v| stored.iter().any(|row| row.contains(v.as_str())));
            assert_eq!(left.count(), 0, "vectors of {}", LEAVING.words[*number]);
        }
        for number in stay {
            let word = LEAVING.words[*number];
            for table in [
                "public.conversation_events",
                "public.conversation_summaries",
                "jarvis.memory_windows",
                "public.member_facts",
            ] {
                let kept = stored
                    .iter()
                    .any(|row| row.starts_with(table) && !traces([row.as_str()], &[word]).is_empty());
                assert!(kept, "{word} is gone from {table}");
            }
        }
        assert_eq!(of_others(&self.db).await, self.neighbours);
        let begun = Instant::now();
        while self.exports().exists() {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "an export from before is still there"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(files_with(self.program.folder(), &words), Vec::<String>::new());
        let mut seen = vec![("metrics", get(&self.metrics).await.1)];
        let audit = self
            .program
            .run(&["audit", "list", "--gym", "lyon", "--json"])
            .await;
        let doctor = self.program.run(&["doctor", "--json"]).await;
        seen.extend([
            ("audit", audit.stdout + &audit.stderr),
            ("doctor", doctor.stdout + &doctor.stderr),
        ]);
        let stdout = self.server.stdout.clone();
        let (status, log) = self.server.stop(Signal::SIGTERM).await;
        assert_eq!(status.code(), Some(0));
        let log = log.so_far();
        assert!(
            log.contains("TRACE") && log.contains("/api/v1/sessions"),
            "the log tells everything"
        );
        seen.extend([("log", log), ("stdout", stdout.so_far())]);
        for (place, said) in seen {
            assert_eq!(traces(said.lines(), &words), [""; 0], "{place}");
        }
    }

    async fn refuse(&self, purpose: &str) {
        self.program
            .json(&[
                "consent",
                "record",
                LEAVING.badge,
                "--refuse",
                purpose,
                "--gym",
                "lyon",
            ])
            .await;
        let shown = removed(&self.program, LEAVING.badge, "lyon").await;
        assert_eq!(shown["withdrawals"][0]["purpose"], purpose);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn withdrawing_memory_leaves_nothing_that_was_said() {
    let stage = Stage::new().await;
    stage.refuse("memory").await;
    stage.assert_gone(&[0, 1], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn withdrawing_health_leaves_nothing_of_it_and_everything_else() {
    let stage = Stage::new().await;
    stage.refuse("health_memory").await;
    stage.assert_gone(&[0], &[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_fact_leaves_nothing_of_it_and_everything_else() {
    let stage = Stage::new().await;
    let facts = stage
        .program
        .json(&["fact", "list", LEAVING.badge, "--gym", "lyon"])
        .await;
    let fact = facts
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["source_quote"].to_string().contains(LEAVING.words[1]));
    let fact = text(fact.unwrap_or_else(|| panic!("{facts:#}")), "/id");
    let forgotten = stage
        .program
        .json(&["fact", "forget", &fact, "--yes", "--gym", "lyon"])
        .await;
    assert_eq!(forgotten["sessions"].as_array().unwrap().len(), 2, "{forgotten}");
    let marks = count(
        stage.db.admin_pool(),
        "select count(*) from jarvis.forgotten_facts",
    )
    .await;
    assert!(marks > 0);
    stage.assert_gone(&[1], &[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_member_leaves_nothing() {
    let stage = Stage::new().await;
    let erased = stage
        .program
        .json(&["member", "erase", LEAVING.badge, "--gym", "lyon", "--yes"])
        .await;
    assert_eq!(erased["exports"], 1, "{erased}");
    assert_eq!(erased["certificate"]["left"], 0, "{erased}");
    stage.assert_gone(&[0, 1], &[]).await;
}
