//! The order of conversations: an older one, processed late or again, does not undo what was said since.

use crate::facts_upsert::{BACK, KNEE, Write, begin_at, conversations, history, retire, upsert};
use crate::world::{MANAGER_A, SERVER_A, World, become_, one, run};
use sqlx::{Postgres, Transaction};

/// The conversations a day apart, `talk-1` the first and `talk-4` yesterday.
async fn conversations_on_four_days(world: &World) -> Transaction<'static, Postgres> {
    let mut tx = conversations(world).await;
    for n in 1..=4 {
        begin_at(
            &mut tx,
            &format!("talk-{n}"),
            &format!("now() - interval '{} days'", 5 - n),
        )
        .await;
    }
    tx
}

#[tokio::test]
async fn an_old_conversation_processed_again_does_not_undo_a_newer_one() {
    let world = World::new().await;
    let mut tx = conversations_on_four_days(&world).await;
    upsert(&mut tx, KNEE).await;
    let second = Write {
        session: "talk-2",
        ..BACK
    };
    assert_eq!(upsert(&mut tx, second).await, "back 0.90 verified x0 active");
    let surer = Write {
        confidence: 1.0,
        ..KNEE
    };
    assert_eq!(upsert(&mut tx, surer).await, "back 0.90 verified x0 active");
    assert_eq!(
        history(&mut tx).await,
        ["insert", "update", "refuse older_session"]
    );
    let third = Write {
        session: "talk-3",
        ..KNEE
    };
    assert_eq!(upsert(&mut tx, third).await, "right_knee 0.90 verified x0 active");
}

/// Said in `talk-1`, confirmed in `talk-4`, and then in `talk-2`, which was processed late and is the source now.
async fn confirmed_out_of_order(world: &World) -> Transaction<'static, Postgres> {
    let mut tx = conversations_on_four_days(world).await;
    for session in ["talk-1", "talk-4", "talk-2"] {
        upsert(&mut tx, Write { session, ..KNEE }).await;
    }
    let source = "select source_session_id from public.member_facts where member_id = {a9}";
    assert_eq!(one::<String>(&mut tx, source).await, "talk-2");
    tx
}

#[tokio::test]
async fn a_conversation_that_confirmed_a_value_protects_it_from_those_before_it() {
    let world = World::new().await;
    let mut tx = confirmed_out_of_order(&world).await;
    let between = Write {
        session: "talk-3",
        ..BACK
    };
    assert_eq!(
        upsert(&mut tx, between).await,
        "right_knee 0.90 verified x2 active"
    );
    assert_eq!(
        history(&mut tx).await,
        ["insert", "confirm", "confirm", "refuse older_session"]
    );
}

#[tokio::test]
async fn an_old_conversation_processed_again_does_not_end_what_came_back_since() {
    let world = World::new().await;
    let mut tx = conversations_on_four_days(&world).await;
    upsert(&mut tx, KNEE).await;
    retire(&mut tx, "talk-2").await;
    let relapse = Write {
        session: "talk-3",
        ..KNEE
    };
    assert_eq!(
        upsert(&mut tx, relapse).await,
        "right_knee 0.90 verified x0 active"
    );
    let whole = "select to_jsonb(f)::text from public.member_facts f where member_id = {a9}";
    let before: String = one(&mut tx, whole).await;
    retire(&mut tx, "talk-2").await;
    assert_eq!(one::<String>(&mut tx, whole).await, before);
    retire(&mut tx, "talk-4").await;
    assert_eq!(
        history(&mut tx).await,
        ["insert", "retire", "revive", "refuse older_session", "retire"]
    );
    let told = "select format('%s %s', session_id, new ->> 'is_active') from jarvis.member_fact_history
                 where member_id = {a9} and operation = 'refuse'";
    assert_eq!(one::<String>(&mut tx, told).await, "talk-2 false");
}

#[tokio::test]
async fn a_conversation_processed_late_does_not_bring_back_what_ended_after_it() {
    let world = World::new().await;
    let mut tx = conversations_on_four_days(&world).await;
    upsert(&mut tx, KNEE).await;
    retire(&mut tx, "talk-3").await;
    for (session, state, code) in [
        ("talk-2", "retired", "refuse older_session"),
        ("talk-4", "active", "revive"),
    ] {
        let stored = upsert(&mut tx, Write { session, ..KNEE }).await;
        assert_eq!(stored, format!("right_knee 0.90 verified x0 {state}"));
        assert_eq!(history(&mut tx).await.last().map(String::as_str), Some(code));
    }
}

#[tokio::test]
async fn a_change_that_names_no_conversation_is_not_older_than_any() {
    let world = World::new().await;
    let mut tx = confirmed_out_of_order(&world).await;
    run(
        &mut tx,
        "update public.member_facts set is_active = false where member_id = {a9}",
    )
    .await;
    assert_eq!(history(&mut tx).await, ["insert", "confirm", "confirm", "retire"]);
}

#[tokio::test]
async fn what_a_person_corrected_yields_only_to_a_conversation_that_began_afterwards() {
    let world = World::new().await;
    let mut tx = conversations_on_four_days(&world).await;
    upsert(&mut tx, KNEE).await;
    become_(&mut tx, MANAGER_A).await;
    run(
        &mut tx,
        "update public.member_facts set fact_value = '{\"location\": \"left_knee\"}', confidence = 0.6
          where member_id = {a9}",
    )
    .await;
    become_(&mut tx, SERVER_A).await;
    let surest = Write {
        confidence: 1.0,
        ..BACK
    };
    for session in ["talk-1", "talk-2", "talk-4"] {
        let stored = upsert(&mut tx, Write { session, ..surest }).await;
        assert!(stored.starts_with("left_knee 0.60"), "{session}: {stored}");
    }
    retire(&mut tx, "talk-2").await;
    let mut told = vec!["insert", "update"];
    told.extend(["refuse corrected_by_person"; 4]);
    assert_eq!(history(&mut tx).await, told);

    begin_at(&mut tx, "talk-4", "clock_timestamp()").await;
    let weaker = Write {
        confidence: 0.5,
        session: "talk-4",
        ..BACK
    };
    assert!(upsert(&mut tx, weaker).await.starts_with("left_knee 0.60"));
    let later = Write {
        session: "talk-4",
        ..BACK
    };
    assert_eq!(upsert(&mut tx, later).await, "back 0.90 verified x0 active");
    told.extend(["refuse confirmed_fact", "update"]);
    assert_eq!(history(&mut tx).await, told);
}

#[tokio::test]
async fn a_retired_fact_comes_back_only_from_a_new_conversation() {
    let world = World::new().await;
    let mut tx = conversations(&world).await;
    upsert(&mut tx, KNEE).await;
    run(
        &mut tx,
        "update public.member_facts set is_active = false, source_session_id = 'talk-2' where member_id = {a9}",
    )
    .await;
    let retired = "right_knee 0.90 verified x0 retired";
    for session in ["talk-1", "talk-2"] {
        assert_eq!(
            upsert(&mut tx, Write { session, ..KNEE }).await,
            retired,
            "{session}"
        );
        assert_eq!(
            upsert(&mut tx, Write { session, ..BACK }).await,
            retired,
            "{session}"
        );
    }
    assert_eq!(
        run(
            &mut tx,
            "update public.member_facts set is_active = true where member_id = {a9}"
        )
        .await,
        1
    );
    assert!(
        !one::<bool>(
            &mut tx,
            "select is_active from public.member_facts where member_id = {a9}"
        )
        .await
    );
    assert_eq!(
        upsert(
            &mut tx,
            Write {
                session: "talk-3",
                ..KNEE
            }
        )
        .await,
        "right_knee 0.90 verified x0 active"
    );
    let told = history(&mut tx).await;
    assert_eq!(told.first().map(String::as_str), Some("insert"));
    assert_eq!(
        told.iter().filter(|line| *line == "refuse retired_fact").count(),
        5
    );
    assert_eq!(
        (told[1].as_str(), told.last().map(String::as_str)),
        ("retire", Some("revive"))
    );
}

#[tokio::test]
async fn the_conversation_that_retires_can_be_named_by_the_transaction() {
    let world = World::new().await;
    let mut tx = conversations(&world).await;
    upsert(&mut tx, KNEE).await;
    run(&mut tx, "set local app.session_id = 'talk-2'").await;
    run(
        &mut tx,
        "update public.member_facts set is_active = false where member_id = {a9}",
    )
    .await;
    run(&mut tx, "set local app.session_id = ''").await;
    assert_eq!(
        upsert(
            &mut tx,
            Write {
                session: "talk-2",
                ..KNEE
            }
        )
        .await,
        "right_knee 0.90 verified x0 retired"
    );
    assert_eq!(
        upsert(
            &mut tx,
            Write {
                session: "talk-3",
                ..KNEE
            }
        )
        .await,
        "right_knee 0.90 verified x0 active"
    );
}
