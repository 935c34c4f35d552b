//! What a member has not agreed to is held.

use super::{check_sums, consent, count, facts, import, lines, member, with_legacy, words};
use jarvis_core::Purpose;
use jarvis_db::migrations::legacy;

#[tokio::test]
async fn without_a_consent_nothing_a_member_told_is_kept_where_the_assistant_reads_it() {
    let db = with_legacy().await;
    import(&db, &[]).await;
    assert_eq!(
        count(db.admin_pool(), "select count(*) from public.member_facts").await,
        0
    );
    let told = "select count(*) from public.conversation_events where coalesce(transcript, tool_args::text, tool_result::text) is not null";
    assert_eq!(count(db.admin_pool(), told).await, 0);
    let waiting = "select count(*) from public.conversation_sessions where state <> 'empty'";
    assert_eq!(count(db.admin_pool(), waiting).await, 0);
    assert_eq!(
        count(db.admin_pool(), "select count(*) from public.conversation_events").await,
        769
    );
}

#[tokio::test]
async fn a_consent_recorded_later_releases_what_it_allows_and_no_more() {
    let db = with_legacy().await;
    import(&db, &[]).await;
    consent(&db, 2, "health_memory", true, false).await;
    assert_eq!(
        facts(&db, 2).await,
        Vec::<String>::new(),
        "health alone is not enough"
    );
    consent(&db, 1, "memory", true, false).await;
    let found = facts(&db, 1).await;
    assert!(
        found.iter().any(|f| f.starts_with("goal legacy_current_goals_")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|f| f.starts_with("preference legacy_workout_style_")),
        "{found:?}"
    );
    assert!(
        !found
            .iter()
            .any(|f| f.starts_with("concern") || f.starts_with("injury")),
        "{found:?}"
    );
    assert_eq!(
        words(&db, 1).await,
        0,
        "which words are about health nobody can tell"
    );

    consent(&db, 1, "health_memory", true, false).await;
    let found = facts(&db, 1).await;
    assert_eq!(
        found.iter().filter(|f| f.starts_with("concern")).count(),
        4,
        "{found:?}"
    );
    assert!(words(&db, 1).await > 0);
    let processed = format!(
        "select count(*) from public.conversation_sessions where member_id = '{}' and state = 'closing'",
        member(1)
    );
    assert!(
        count(db.admin_pool(), &processed).await > 0,
        "the conversations go through the memory"
    );
    let left = format!(
        "select count(*) from jarvis.legacy_held where member_id = '{}' and needs <> '{{}}'",
        member(1)
    );
    assert_eq!(count(db.admin_pool(), &left).await, 0);
    let report = legacy::status(db.url()).await.unwrap();
    check_sums(&db, &report).await;
    let allergies = report
        .reconciliation
        .iter()
        .find(|l| l.column == "allergies")
        .unwrap();
    assert_eq!((allergies.imported, allergies.held), (1, 33));
    assert_eq!(
        facts(&db, 3).await,
        Vec::<String>::new(),
        "another member's consent is theirs"
    );
}

#[tokio::test]
async fn a_stated_consent_never_overrides_an_answer_and_not_for_children() {
    let db = with_legacy().await;
    import(&db, &[]).await;
    consent(&db, 3, "memory", false, false).await;
    consent(&db, 7, "memory", true, false).await;
    consent(&db, 7, "memory", false, false).await;
    let report = import(&db, &[Purpose::Memory, Purpose::HealthMemory]).await;
    for n in [3, 7] {
        assert!(
            !facts(&db, n).await.iter().any(|f| f.contains("workout_times")) || n == 7,
            "{n}"
        );
        let given = format!(
            "select count(*) from public.gym_members_v2 m where m.id = '{}' and jarvis.consent_given(m.gym_id, m.id, 'memory')",
            member(n)
        );
        assert_eq!(count(db.admin_pool(), &given).await, 0, "{n} said no");
    }
    assert!(!facts(&db, 2).await.is_empty());
    // Under fifteen, and a date of birth that nobody can read: a guardian, or the member, says it here.
    for n in [14, 6] {
        assert_eq!(facts(&db, n).await, Vec::<String>::new(), "{n}");
    }
    let own = sqlx::query(
        "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source)
         select gym_id, id, 'memory', true, 'kiosk' from public.gym_members_v2 where id = $1::uuid",
    )
    .bind(member(14))
    .execute(db.admin_pool())
    .await
    .unwrap_err();
    assert_eq!(own.as_database_error().unwrap().code().unwrap(), "JC002");
    assert_eq!(facts(&db, 14).await, Vec::<String>::new());
    consent(&db, 14, "memory", true, true).await;
    assert!(!facts(&db, 14).await.is_empty());
    let sources = lines(
        db.admin_pool(),
        "select distinct source || ' ' || statement_version || ' ' || actor from jarvis.consent_ledger where source = 'import'",
    )
    .await;
    assert_eq!(sources, ["import imported operator"]);
    assert!(report.consents_stated > 60, "{}", report.consents_stated);
}
