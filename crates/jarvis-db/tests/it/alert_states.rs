//! The life of an alert, for every writer.

use crate::world::{
    MANAGER_A, Persona, Refusal, SERVER_A, SERVICE, STAFF_A, World, become_, lines, one, refused, run,
};
use sqlx::postgres::PgConnection;

const WRITERS: [Persona; 4] = [STAFF_A, MANAGER_A, SERVER_A, SERVICE];
const STATES: [&str; 4] = ["pending", "in_progress", "resolved", "dismissed"];

/// An open alert of member 1 in gym A.
async fn raise(tx: &mut PgConnection) {
    run(
        tx,
        "insert into public.manager_alerts (gym_id, member_id, alert_type, title, dedup_key)
         values ({A}, {a1}, 'inactivity', 'Absence', 'life')",
    )
    .await;
}

fn change(what: &str) -> String {
    format!("update public.manager_alerts set {what} where dedup_key = 'life'")
}

/// Into a state with all that it asks for.
fn into(state: &str) -> String {
    match state {
        "resolved" => change("status = 'resolved', outcome = 'member_called'"),
        "dismissed" => change("status = 'dismissed', resolution_notes = 'on holiday'"),
        open => change(&format!("status = '{open}'")),
    }
}

fn code_and_part(refusal: &Refusal) -> (&str, &str, &str) {
    assert!(!refusal.hint.is_empty());
    (&refusal.code, &refusal.message, &refusal.detail)
}

#[tokio::test]
async fn an_alert_that_has_ended_goes_nowhere_and_an_open_one_everywhere_for_every_writer() {
    let world = World::new().await;
    for persona in WRITERS {
        for from in STATES {
            for to in STATES {
                let mut tx = world.act_as(persona).await;
                raise(&mut tx).await;
                run(&mut tx, &into(from)).await;
                let told = format!("{persona:?}: {from} to {to}");
                if matches!(from, "resolved" | "dismissed") && from != to {
                    let refusal = refused(&mut tx, &into(to)).await;
                    assert_eq!(code_and_part(&refusal), ("JT001", "alert_ended", from), "{told}");
                } else {
                    assert_eq!(run(&mut tx, &into(to)).await, 1, "{told}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_end_says_its_outcome_or_its_reason() {
    let world = World::new().await;
    for persona in WRITERS {
        let mut tx = world.act_as(persona).await;
        raise(&mut tx).await;
        for (state, part) in [("resolved", "outcome"), ("dismissed", "resolution_notes")] {
            for nothing in ["null", "''", "E' \\n'"] {
                let end = change(&format!("status = '{state}', {part} = {nothing}"));
                let refusal = refused(&mut tx, &end).await;
                assert_eq!(code_and_part(&refusal), ("JT002", "alert_incomplete", part));
                let born = format!(
                    "insert into public.manager_alerts (gym_id, member_id, alert_type, title, status, {part})
                     values ({{A}}, {{a1}}, 'inactivity', 'Absence', '{state}', {nothing})"
                );
                let refusal = refused(&mut tx, &born).await;
                assert_eq!(code_and_part(&refusal), ("JT002", "alert_incomplete", part));
            }
        }
    }
}

#[tokio::test]
async fn who_ended_it_and_when_comes_from_the_claims_and_not_from_the_row() {
    let world = World::new().await;
    let who = "select format('%s %s %s', resolved_by, resolved_at = now(), snoozed_until is null)
                 from public.manager_alerts where dedup_key = 'life'";
    let end = change(
        "status = 'resolved', outcome = 'x', resolved_at = '2020-01-01', snoozed_until = '2099-01-01',
         resolved_by = '00000000-0000-7000-8000-0000000000ff'",
    );
    for (persona, stored) in [
        (MANAGER_A, "00000000-0000-7000-8000-0000000000a2 t t"),
        (STAFF_A, "00000000-0000-7000-8000-0000000000a1 t t"),
        // The server ends by its own clock, and says for whom.
        (SERVER_A, "00000000-0000-7000-8000-0000000000ff f t"),
    ] {
        let mut tx = world.act_as(persona).await;
        raise(&mut tx).await;
        run(&mut tx, &end).await;
        assert_eq!(lines(&mut tx, who).await, [stored], "{persona:?}");
    }
    let mut tx = world.act_as(SERVER_A).await;
    raise(&mut tx).await;
    run(
        &mut tx,
        "select set_config('app.actor', 'user:00000000-0000-7000-8000-0000000000a1', true)",
    )
    .await;
    run(&mut tx, &into("dismissed")).await;
    assert_eq!(
        lines(&mut tx, who).await,
        ["00000000-0000-7000-8000-0000000000a1 t t"]
    );
}

#[tokio::test]
async fn an_open_alert_was_ended_by_nobody() {
    let world = World::new().await;
    let mut tx = world.act_as(MANAGER_A).await;
    raise(&mut tx).await;
    let refusal = refused(&mut tx, &change("resolved_at = now()")).await;
    assert_eq!(code_and_part(&refusal), ("JT002", "alert_incomplete", "status"));
}

#[tokio::test]
async fn whoever_takes_an_alert_has_it_unless_somebody_is_named() {
    let world = World::new().await;
    let whose = "select assigned_to::text from public.manager_alerts where dedup_key = 'life'";
    for (take, holder) in [
        ("status = 'in_progress'", "00000000-0000-7000-8000-0000000000a2"),
        (
            "status = 'in_progress', assigned_to = '00000000-0000-7000-8000-0000000000a1'",
            "00000000-0000-7000-8000-0000000000a1",
        ),
    ] {
        let mut tx = world.act_as(MANAGER_A).await;
        raise(&mut tx).await;
        run(&mut tx, &change(take)).await;
        assert_eq!(lines(&mut tx, whose).await, [holder]);
    }
}

#[tokio::test]
async fn an_end_may_be_told_better_but_not_taken_back() {
    let world = World::new().await;
    let mut tx = world.act_as(MANAGER_A).await;
    raise(&mut tx).await;
    run(&mut tx, &into("resolved")).await;
    run(
        &mut tx,
        &change("outcome = 'member_left', resolution_notes = 'moved'"),
    )
    .await;
    let refusal = refused(&mut tx, &change("outcome = null")).await;
    assert_eq!(code_and_part(&refusal), ("JT002", "alert_incomplete", "outcome"));
    let refusal = refused(&mut tx, &change("snoozed_until = '2099-01-01'")).await;
    assert_eq!(code_and_part(&refusal), ("JT001", "alert_ended", "resolved"));
    become_(&mut tx, STAFF_A).await;
    run(&mut tx, &change("resolved_by = null, resolved_at = null")).await;
    let kept: bool = one(
        &mut tx,
        "select resolved_by = '00000000-0000-7000-8000-0000000000a2' and resolved_at = now()
           from public.manager_alerts where dedup_key = 'life'",
    )
    .await;
    assert!(kept);
}

#[tokio::test]
async fn how_often_it_came_never_falls() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    raise(&mut tx).await;
    run(&mut tx, &change("occurrences = occurrences + 2")).await;
    let refusal = refused(&mut tx, &change("occurrences = 1")).await;
    assert_eq!(code_and_part(&refusal), ("JT003", "alert_occurrences_fall", "3"));
}

#[tokio::test]
async fn an_end_of_before_these_rules_can_be_taken_over() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    run(
        &mut tx,
        "insert into public.manager_alerts (gym_id, member_id, alert_type, title, status, dedup_key)
         values ({A}, {a1}, 'inactivity', 'Absence', 'resolved', 'life')",
    )
    .await;
    become_(&mut tx, MANAGER_A).await;
    run(&mut tx, &change("title = 'Absence en mai'")).await;
    let ended: bool = one(
        &mut tx,
        "select resolved_at is not null from public.manager_alerts where dedup_key = 'life'",
    )
    .await;
    assert!(ended, "or it would never be old enough to go");
}
