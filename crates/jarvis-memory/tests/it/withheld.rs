//! What was not agreed to is not kept.

use crate::stage::{EVERYTHING, Stage, embedder};
use jarvis_core::{Actor, Category, Purpose, Scope, SessionState};
use jarvis_memory::sessions;

const KNEE: &str = "J'ai mal au genou droit depuis janvier, plus de squats pour moi";
const GOAL: &str = "mon objectif c'est de perdre cinq kilos avant l'été";

/// Every text of every row of every table, vectors and JSON included.
async fn everything_stored(stage: &Stage) -> String {
    let tables: Vec<(String,)> = sqlx::query_as(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'supabase_migrations')",
    )
    .fetch_all(stage.test.admin_pool())
    .await
    .unwrap();
    assert!(tables.len() > 15, "the schema is there");
    let mut all = String::new();
    for (table,) in tables {
        // The data map and comments speak of health in general; rows of members are what counts.
        if table == "jarvis.data_map" {
            continue;
        }
        let sql = format!("select coalesce(string_agg(t::text, E'\\n'), '') from {table} t");
        let rows: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(stage.test.admin_pool())
            .await
            .unwrap();
        all.push_str(&rows);
    }
    all.to_lowercase()
}

#[tokio::test]
async fn without_health_memory_no_table_knows_of_the_knee() {
    let stage = Stage::with(embedder()).await;
    let gym = stage.gym("lyon").await;
    stage
        .member(&gym, "BADGE_001", &[Purpose::Voice, Purpose::Memory])
        .await;
    let session = stage
        .talk(
            &gym,
            "BADGE_001",
            &[KNEE, "JARVIS: D'accord, ménage ton genou.", GOAL],
        )
        .await;

    let stored = everything_stored(&stage).await;
    for word in ["genou", "squat", "knee"] {
        assert!(!stored.contains(word), "{word} is stored somewhere");
    }
    assert!(
        stored.contains("perdre cinq kilos"),
        "what is not about health is kept"
    );
    let scope = Scope::gym(gym.id, Actor::Server);
    let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    assert_eq!(detail.session.state, SessionState::Processed);
    assert!(detail.session.notes.iter().any(|n| n == "health_withheld"));
    assert_eq!(detail.session.withheld_health_spans, 2);
    let context = stage.open(&gym, "BADGE_001").await.context;
    assert_eq!(context.notes, ["no_health_memory_consent"]);
    assert_eq!(
        context.facts.iter().map(|f| f.category).collect::<Vec<_>>(),
        [Category::Goal]
    );
}

#[tokio::test]
async fn without_memory_a_session_ends_empty_and_keeps_no_word() {
    let stage = Stage::with(embedder()).await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", &[Purpose::Voice]).await;
    let session = stage.talk(&gym, "BADGE_001", &[KNEE, GOAL]).await;
    let stored = everything_stored(&stage).await;
    assert!(!stored.contains("genou") && !stored.contains("kilos"));
    let scope = Scope::gym(gym.id, Actor::Server);
    let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    assert_eq!(detail.session.state, SessionState::Empty);
    assert_eq!(detail.session.state_reason.as_deref(), Some("no_consent"));
    assert_eq!((detail.events.events, detail.events.without_text), (2, 2));
    let context = stage.open(&gym, "BADGE_001").await.context;
    assert_eq!(context.notes, ["no_memory_consent"]);
    assert!(context.facts.is_empty() && context.memories.is_empty());
}

#[tokio::test]
async fn a_session_in_which_only_the_assistant_spoke_is_empty() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.talk(&gym, "BADGE_001", &["JARVIS: Bonjour Sophie !"]).await;
    let scope = Scope::gym(gym.id, Actor::Server);
    let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    assert_eq!(detail.session.state, SessionState::Empty);
    assert_eq!(detail.session.state_reason.as_deref(), Some("no_user_turn"));
    assert!(detail.summary.is_none());
}

#[tokio::test]
async fn health_in_a_tool_call_is_withheld_too() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", &[Purpose::Memory]).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let mut event = crate::stage::said("", 0);
    event.event_type = jarvis_core::EventType::ToolCall;
    event.transcript = None;
    event.tool_name = Some("remember_fact".to_owned());
    event.tool_args = Some(serde_json::json!({"fact": {"what": "douleur au genou", "since": "janvier"}}));
    let recorded = sessions::record(&stage.memory, &gym.kiosk, &session, vec![Ok(event)])
        .await
        .unwrap();
    assert_eq!(recorded.withheld_health_spans, 1);
    assert!(!everything_stored(&stage).await.contains("genou"));
}

#[tokio::test]
async fn health_said_before_the_consent_was_withdrawn_is_not_made_into_memory() {
    let stage = Stage::with(embedder()).await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    stage.say(&gym, &session, &[KNEE, GOAL]).await;
    stage
        .test
        .seed_consent(gym.id, member, Purpose::HealthMemory, false)
        .await;
    stage.end(&gym, &session).await;

    let scope = Scope::gym(gym.id, Actor::Server);
    let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    assert_eq!(
        detail.session.notes.first().map(String::as_str),
        Some("health_withheld")
    );
    let summary = detail.summary.unwrap().summary_text;
    assert!(
        !summary.contains("genou") && !summary.contains("santé"),
        "{summary}"
    );
    assert!(detail.facts.iter().all(|f| f.category == Category::Goal));
}

#[tokio::test]
async fn what_a_tool_was_told_is_not_kept_without_health_memory_however_it_is_spelt() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", &[Purpose::Memory]).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let mut event = crate::stage::said("", 0);
    event.event_type = jarvis_core::EventType::ToolCall;
    event.transcript = None;
    event.tool_args = Some(serde_json::json!({"bodyPart": "KneeRight", "isPainful": true}));
    sessions::record(&stage.memory, &gym.kiosk, &session, vec![Ok(event)])
        .await
        .unwrap();
    assert!(!everything_stored(&stage).await.contains("kneeright"));
}

#[tokio::test]
async fn names_and_ids_are_no_place_to_say_something() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", &[]).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let mut tool = crate::stage::said("", 0);
    tool.tool_name = Some("mal au genou".to_owned());
    let mut id = crate::stage::said("", 1);
    id.provider_event_id = Some("enceinte de trois mois".to_owned());
    let recorded = sessions::record(&stage.memory, &gym.kiosk, &session, vec![Ok(tool), Ok(id)])
        .await
        .unwrap();
    assert_eq!((recorded.accepted.len(), recorded.rejected.len()), (0, 2));
}

#[tokio::test]
async fn a_conversation_about_nothing_but_health_ends_empty_once_the_consent_is_withdrawn() {
    let stage = Stage::with(embedder()).await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    stage.say(&gym, &session, &[KNEE]).await;
    stage
        .test
        .seed_consent(gym.id, member, Purpose::HealthMemory, false)
        .await;
    stage.end(&gym, &session).await;
    let detail = sessions::get(&stage.memory, &Scope::gym(gym.id, Actor::Server), &session)
        .await
        .unwrap();
    assert_eq!(
        (detail.session.state, detail.session.state_reason.as_deref()),
        (SessionState::Empty, Some("no_consent"))
    );
    assert_eq!(detail.session.notes, ["health_withheld"]);
    assert!(detail.summary.is_none() && detail.facts.is_empty());
}
