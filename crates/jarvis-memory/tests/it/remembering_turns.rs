//! Turns stay to be recalled, as far as the member agreed.

use crate::stage::{EVERYTHING, Stage};
use jarvis_core::{GymId, Purpose};
use jarvis_memory::process;

async fn turns(stage: &Stage) -> Vec<(String, String)> {
    sqlx::query_as("select speaker, said from jarvis.memory_windows order by said_at, event_id")
        .fetch_all(stage.test.admin_pool())
        .await
        .unwrap()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    expected.iter().map(owned).collect()
}

async fn again(stage: &Stage, gym: GymId, session: &jarvis_core::SessionId) {
    sqlx::query("update public.conversation_sessions set state = 'closing' where session_id = $1")
        .bind(session.as_str())
        .execute(stage.test.admin_pool())
        .await
        .unwrap();
    process::process_session(&stage.memory, gym, session)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_processed_session_keeps_its_turns_and_processing_it_again_doubles_none() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let said = [
        "J'ai mal au genou droit",
        "JARVIS: On évite les squats alors",
        "Merci",
    ];
    let session = stage.talk(&gym, "BADGE_001", &said).await;
    let expected = pairs(&[
        ("member", "J'ai mal au genou droit"),
        ("assistant", "On évite les squats alors"),
        ("member", "Merci"),
    ]);
    let mut found = turns(&stage).await;
    found.sort();
    let mut sorted = expected.clone();
    sorted.sort();
    assert_eq!(found, sorted);
    again(&stage, gym.id, &session).await;
    let mut found = turns(&stage).await;
    found.sort();
    assert_eq!(found, sorted);
    let words: String =
        sqlx::query_scalar("select search::text from jarvis.memory_windows where said = 'Merci'")
            .fetch_one(stage.test.admin_pool())
            .await
            .unwrap();
    assert!(words.contains("'squat'") && words.contains("'mar'"), "{words}");
    assert!(words.contains("'merc':1A") && words.contains('C'), "{words}");
}

#[tokio::test]
async fn without_consent_to_memory_no_turn_is_kept_and_a_withdrawal_takes_them_at_the_next_try() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", &[Purpose::Voice]).await;
    stage.talk(&gym, "BADGE_001", &["Je viens le mardi"]).await;
    assert_eq!(turns(&stage).await, []);
    let member = stage.member(&gym, "BADGE_002", EVERYTHING).await;
    let session = stage.talk(&gym, "BADGE_002", &["Je viens le jeudi"]).await;
    assert_eq!(turns(&stage).await.len(), 1);
    stage
        .test
        .seed_consent(gym.id, member, Purpose::Memory, false)
        .await;
    again(&stage, gym.id, &session).await;
    assert_eq!(turns(&stage).await, []);
}

#[tokio::test]
async fn without_consent_to_health_no_turn_tells_of_it() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let said = [
        "J'ai mal au genou droit depuis janvier",
        "Je viens le mardi matin",
    ];
    let session = stage.talk(&gym, "BADGE_001", &said).await;
    let telling = "select count(*) from jarvis.memory_windows where tells_health";
    assert_eq!(stage.count(telling).await, 1);
    stage
        .test
        .seed_consent(gym.id, member, Purpose::HealthMemory, false)
        .await;
    again(&stage, gym.id, &session).await;
    let knee = "select count(*) from jarvis.memory_windows where said ~* 'genou' or search @@ 'genou'";
    assert_eq!(stage.count(knee).await, 0);
    assert_eq!(turns(&stage).await.len(), 1);
}

#[tokio::test]
async fn nobody_writes_a_turn_of_a_member_who_did_not_agree() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", &[Purpose::Voice]).await;
    let opened = stage.open(&gym, "BADGE_001").await;
    let refused = sqlx::query(
        "insert into jarvis.memory_windows (event_id, gym_id, member_id, session_id, speaker, said, said_at, search)
         values (gen_random_uuid(), $1, $2, $3, 'member', 'x', now(), '')",
    )
    .bind(gym.id.as_uuid())
    .bind(member.as_uuid())
    .bind(opened.session_id.as_str())
    .execute(stage.test.admin_pool())
    .await
    .unwrap_err();
    assert!(refused.to_string().contains("consent_required"), "{refused}");
}
