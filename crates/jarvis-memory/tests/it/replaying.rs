//! What JARVIS says is no memory, be it what it remembers.

use crate::stage::{EVERYTHING, Stage};
use jarvis_core::{Actor, Scope};
use jarvis_memory::{process, recall};

const FACTS: &str = "select count(*) from public.member_facts";
const CONFIRMATIONS: &str = "select coalesce(sum(times_confirmed), 0)::bigint from public.member_facts";

#[tokio::test]
async fn recalling_and_replaying_a_hundred_times_makes_no_new_fact() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let told = [
        "J'ai mal au genou droit depuis janvier et mon objectif c'est de perdre cinq kilos",
        "Le tapis du fond est en panne",
    ];
    let first = stage.talk(&gym, "BADGE_001", &told).await;
    let before = stage.count(FACTS).await;
    assert!(before >= 3, "{before}");
    let confirmed = stage.count(CONFIRMATIONS).await;

    let query = recall::RecallQuery {
        text: "genou objectif tapis".to_owned(),
        k: 3,
        threshold: recall::DEFAULT_THRESHOLD,
    };
    for round in 0..100 {
        let scope = Scope::gym(gym.id, Actor::Server);
        let recalled = recall::recall(&stage.memory, scope, member, &query)
            .await
            .unwrap();
        let memory = &recalled
            .memories
            .first()
            .expect("the conversation is remembered")
            .summary_text;
        let spoken = format!("JARVIS: {}", memory.replace("« ", "").replace(" »", "."));
        // The bare words too, as a model would say them back.
        let echoed = format!("JARVIS: Tu m'as dit : {}", told[round % told.len()]);
        let turns = [
            "Salut",
            spoken.as_str(),
            "D'accord",
            echoed.as_str(),
            "Oui, merci",
        ];
        stage.talk(&gym, "BADGE_001", &turns).await;
        process::process_session(&stage.memory, gym.id, &first)
            .await
            .unwrap();
    }
    assert_eq!(stage.count(FACTS).await, before);
    assert_eq!(
        stage.count(CONFIRMATIONS).await,
        confirmed,
        "an echo confirms nothing"
    );
    let sources = "select count(distinct source_session_id) from public.member_facts";
    assert_eq!(
        stage.count(sources).await,
        1,
        "every fact is still that of the first conversation"
    );
}
