//! Facts that people forget: no word of them is left, and nothing brings them back.

use crate::facts::{GOAL, KNEE, Scene};
use chrono::TimeDelta;
use jarvis_core::{Category, FactId};
use jarvis_memory::{facts, process, sessions};
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;

impl Scene {
    async fn forget(&self, id: FactId) -> facts::Forgotten {
        facts::forget(&self.stage.memory, &self.operator(), self.gym.id, id)
            .await
            .unwrap()
    }

    /// Every table in which `canary` is, as text.
    async fn places_of(&self, canary: &str) -> Vec<String> {
        let pool = self.stage.test.admin_pool();
        let tables: Vec<String> = sqlx::query_scalar(
            "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
              where c.relkind = 'r' and n.nspname in ('public', 'jarvis', 'auth') order by 1",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        let mut found = Vec::new();
        for table in tables {
            let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
                "select count(*) from {table} t where jarvis.fold(to_jsonb(t)::text) like '%' || $1 || '%'"
            )))
            .bind(canary)
            .fetch_one(pool)
            .await
            .unwrap();
            if rows > 0 {
                found.push(table);
            }
        }
        found
    }
}

#[tokio::test]
async fn forgetting_leaves_no_word_of_it_in_any_table() {
    let scene = Scene::new().await;
    let canary = "J'ai mal au genou droit depuis ma chute à Chamonix";
    let first = scene
        .talk(&[
            "JARVIS: Bonjour !",
            canary,
            "JARVIS: Ton genou, la chute à Chamonix, je note.",
            GOAL,
        ])
        .await;
    scene.stage.clock.advance(TimeDelta::days(1));
    let second = scene
        .talk(&[
            "Alors, j'ai mal au Genou droit depuis ma chute à chamonix !",
            "Je préfère m'entraîner le matin",
        ])
        .await;
    sqlx::query("update public.conversation_events set tool_args = jsonb_build_object('q', transcript) where transcript ilike '%chamonix%'")
        .execute(scene.stage.test.admin_pool())
        .await
        .unwrap();
    assert!(
        scene.places_of("chamonix").await.len() >= 4,
        "{:?}",
        scene.places_of("chamonix").await
    );
    let knee = scene
        .all()
        .await
        .into_iter()
        .find(|f| f.category == Category::Injury)
        .unwrap();
    sqlx::query("delete from jarvis.jobs")
        .execute(scene.stage.test.admin_pool())
        .await
        .unwrap();
    let forgotten = scene.forget(knee.id).await;
    assert_eq!(forgotten.sessions.len(), 2);
    assert_eq!(scene.places_of("chamonix").await, Vec::<String>::new(), "at once");
    let waiting = "select count(*) from jarvis.jobs where kind = 'memory.process_session'";
    assert_eq!(
        scene.stage.count(waiting).await,
        2,
        "durable jobs make the summaries again"
    );
    scene.work_off(&[first.clone(), second.clone()]).await;
    assert_eq!(
        scene.places_of("chamonix").await,
        Vec::<String>::new(),
        "and for good"
    );
    assert_eq!(scene.places_of("genou").await, Vec::<String>::new());
    let left: Vec<_> = scene
        .all()
        .await
        .into_iter()
        .map(|f| (f.category, f.is_active))
        .collect();
    assert_eq!(
        left,
        [(Category::Goal, true), (Category::Preference, true)],
        "the rest is still known"
    );
    let summaries = "select count(*) from public.conversation_summaries where summary_text like '%cinq kilos%' or summary_text like '%matin%'";
    assert_eq!(scene.stage.count(summaries).await, 2);
    for _ in 0..3 {
        for id in [&first, &second] {
            sessions::reprocess(&scene.stage.memory, scene.gym.id, &scene.operator(), id)
                .await
                .unwrap();
        }
        scene.work_off(&[first.clone(), second.clone()]).await;
    }
    assert_eq!(scene.all().await.len(), 2, "it does not come back");
}

/// The same injury in words that differ, the assistant's echoes of it, and what is about something else.
const SAID: &[&str] = &[
    "J'ai mal au genou droit depuis ma chute à Chamonix",
    "Depuis Chamonix j'ai mal au genou droit",
    "Bon, le genou droit me fait encore mal depuis Chamonix !",
    "j'ai mal au GENOU droit, depuis ma chute à chamonix",
    "JARVIS: Ton genou, la chute à Chamonix, je note.",
    "JARVIS: On ménage le genou droit après Chamonix.",
    GOAL,
    "Je préfère m'entraîner le matin",
    "Bonjour !",
];

/// One to three conversations of up to five of these sentences; the first begins with the injury.
fn conversations() -> impl Strategy<Value = Vec<Vec<&'static str>>> {
    let sentence = proptest::sample::select(SAID);
    let talk = proptest::collection::vec(sentence, 0..5);
    (
        proptest::sample::select(&SAID[..4]),
        proptest::collection::vec(talk, 1..4),
    )
        .prop_map(|(first, mut talks)| {
            talks[0].insert(0, first);
            for talk in &mut talks {
                if talk.iter().all(|said| said.starts_with("JARVIS")) {
                    talk.push(GOAL);
                }
            }
            talks
        })
}

impl Scene {
    /// What every table holds, as a digest.
    async fn holds(&self) -> Vec<(String, Option<String>)> {
        let pool = self.stage.test.admin_pool();
        let tables: Vec<String> = sqlx::query_scalar(
            "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
              where c.relkind = 'r' and n.nspname in ('public', 'jarvis', 'auth') order by 1",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        let mut found = Vec::new();
        for table in tables {
            let digest = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
                "select md5(string_agg(t::text, '|' order by t::text)) from {table} t"
            )))
            .fetch_one(pool)
            .await
            .unwrap();
            found.push((table, digest));
        }
        found
    }
}

#[tokio::test]
async fn however_it_was_said_forgetting_once_is_enough() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..12 {
        let talks = conversations().new_tree(&mut runner).unwrap().current();
        let scene = Scene::new().await;
        let mut sessions = Vec::new();
        for talk in &talks {
            sessions.push(scene.talk(talk).await);
            scene.stage.clock.advance(TimeDelta::days(1));
        }
        let injuries = scene.all().await.into_iter();
        let injuries: Vec<_> = injuries.filter(|f| f.category == Category::Injury).collect();
        assert_eq!(injuries.len(), 1, "{talks:?}: {injuries:?}");
        assert!(!scene.places_of("chamonix").await.is_empty());
        sqlx::query("delete from jarvis.jobs")
            .execute(scene.stage.test.admin_pool())
            .await
            .unwrap();
        scene.forget(injuries[0].id).await;
        let nowhere = Vec::<String>::new();
        for word in ["chamonix", "genou"] {
            assert_eq!(scene.places_of(word).await, nowhere, "{talks:?}");
        }
        // A second time there is nothing to forget, and nothing changes.
        let held = scene.holds().await;
        let operator = scene.operator();
        let again = facts::forget(&scene.stage.memory, &operator, scene.gym.id, injuries[0].id).await;
        assert!(again.is_err());
        assert_eq!(scene.holds().await, held, "{talks:?}");
        // Nor does anything come back of what is made again.
        scene.work_off(&sessions).await;
        for word in ["chamonix", "genou"] {
            assert_eq!(scene.places_of(word).await, nowhere, "{talks:?}");
        }
        let left = scene.all().await;
        assert!(
            left.iter().all(|f| f.category != Category::Injury),
            "{talks:?}: {left:?}"
        );
    }
}

#[tokio::test]
async fn the_same_thing_said_in_other_words_is_forgotten_too() {
    let scene = Scene::new().await;
    let session = scene
        .talk(&[
            "J'ai mal au genou droit",
            "Et franchement mon genou droit me fait souffrir quand je cours",
            "Je veux perdre cinq kilos",
        ])
        .await;
    let knee = scene
        .all()
        .await
        .into_iter()
        .find(|f| f.category == Category::Injury)
        .unwrap();
    scene.forget(knee.id).await;
    scene.work_off(&[session]).await;
    assert!(
        scene.all().await.iter().all(|f| f.category != Category::Injury),
        "{:?}",
        scene.all().await
    );
}

#[tokio::test]
async fn forgetting_while_the_conversation_is_being_read_wins() {
    let scene = Scene::new().await;
    let session = scene.talk(&[KNEE]).await;
    let knee = scene.only().await;
    sessions::reprocess(&scene.stage.memory, scene.gym.id, &scene.operator(), &session)
        .await
        .unwrap();
    let reading = process::process_session(&scene.stage.memory, scene.gym.id, &session);
    let (read, _) = tokio::join!(reading, scene.forget(knee.id));
    drop(read);
    scene.work_off(std::slice::from_ref(&session)).await;
    assert_eq!(scene.places_of("genou").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_summary_that_another_application_wrote_loses_what_repeats_the_forgotten_and_its_vector() {
    let scene = Scene::new().await;
    let session = scene.talk(&[KNEE]).await;
    sqlx::query(
        "update public.conversation_summaries set written_by = 'client', summary_text = 'Elle vient le lundi. Son genou la gêne.',
                key_topics = '{genou}' where session_id = $1",
    )
    .bind(session.as_str())
    .execute(scene.stage.test.admin_pool())
    .await
    .unwrap();
    let knee = scene.only().await;
    scene.forget(knee.id).await;
    assert_eq!(scene.places_of("genou").await, Vec::<String>::new());
    let text: String = sqlx::query_scalar("select summary_text from public.conversation_summaries")
        .fetch_one(scene.stage.test.admin_pool())
        .await
        .unwrap();
    assert_eq!(text, "Elle vient le lundi. […].");
}
