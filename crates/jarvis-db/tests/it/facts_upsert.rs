//! The guarded upsert: every writer of a fact passes the same rules, and the history shows what happened.

use crate::world::{MANAGER_A, SERVER_A, SERVICE, World, become_, lines, one, refused, run};
use sqlx::{PgConnection, Postgres, Transaction};

const QUOTE: &str = "J'ai mal au genou droit depuis janvier";

/// A write of the bare member's fact, as an application sends it.
#[derive(Clone, Copy)]
pub struct Write<'a> {
    pub value: &'a str,
    pub confidence: f64,
    pub session: &'a str,
    pub quote: Option<&'a str>,
}

pub const KNEE: Write<'static> = Write {
    value: r#"{"location": "right_knee"}"#,
    confidence: 0.9,
    session: "talk-1",
    quote: Some(QUOTE),
};
pub const BACK: Write<'static> = Write {
    value: r#"{"location": "back"}"#,
    ..KNEE
};

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The snippet of the guide: all its columns, `is_active` always true, the conflict on three columns. Returns the row
/// as `.select().single()` does.
pub async fn upsert(connection: &mut PgConnection, write: Write<'_>) -> String {
    let Write {
        value,
        confidence,
        session,
        quote,
    } = write;
    let (quote_column, quote_value, quote_set) = match quote {
        Some(quote) => (
            ", source_quote",
            format!(", {}", quoted(quote)),
            ", source_quote = excluded.source_quote",
        ),
        None => ("", String::new(), ""),
    };
    one(
        connection,
        &format!(
            "insert into public.member_facts
               (member_id, category, fact_key, fact_value, confidence, source_session_id, is_active{quote_column})
             values ({{a9}}, 'injury', 'knee_pain', '{value}', {confidence}, '{session}', true{quote_value})
             on conflict (member_id, category, fact_key) do update
               set member_id = excluded.member_id, category = excluded.category, fact_key = excluded.fact_key,
                   fact_value = excluded.fact_value, confidence = excluded.confidence,
                   source_session_id = excluded.source_session_id, is_active = excluded.is_active{quote_set}
             returning format('%s %s %s x%s %s', fact_value ->> 'location', confidence,
                              case when verified then 'verified' else 'unverified' end, times_confirmed,
                              case when is_active then 'active' else 'retired' end)"
        ),
    )
    .await
}

pub async fn history(connection: &mut PgConnection) -> Vec<String> {
    lines(
        connection,
        "select concat_ws(' ', operation, refusal_code) from jarvis.member_fact_history where member_id = {a9} order by id",
    )
    .await
}

/// Conversations `talk-1` to `talk-4` of the bare member, in each of which the knee and the back hurt, and one about
/// nothing; our server at work.
pub async fn conversations(world: &World) -> Transaction<'static, Postgres> {
    let mut tx = world.act_as(SERVER_A).await;
    for n in 1..=4 {
        run(
            &mut tx,
            &format!(
                "insert into public.conversation_sessions (session_id, member_id) values ('talk-{n}', {{a9}})"
            ),
        )
        .await;
        run(
            &mut tx,
            &format!(
                "insert into public.conversation_events (session_id, event_type, transcript) values
                   ('talk-{n}', 'user_transcript', 'Alors, j''ai  mal au GENOU droit depuis janvier, et le dos aussi.'),
                   ('talk-{n}', 'ai_transcript', 'Tu aimes courir le matin.')"
            ),
        )
        .await;
    }
    run(
        &mut tx,
        "insert into public.conversation_sessions (session_id, member_id) values ('small-talk', {a9});
         insert into public.conversation_events (session_id, event_type, transcript)
         values ('small-talk', 'user_transcript', 'Rien de neuf.')",
    )
    .await;
    tx
}

/// Dates the beginning of a conversation.
pub async fn begin_at(connection: &mut PgConnection, session: &str, moment: &str) {
    run(
        connection,
        &format!(
            "update public.conversation_sessions set started_at = {moment} where session_id = '{session}'"
        ),
    )
    .await;
}

/// Ends the fact as our job does. The row comes back whether that is accepted or refused.
pub async fn retire(connection: &mut PgConnection, session: &str) {
    let update = format!(
        "update public.member_facts set is_active = false, source_session_id = '{session}' where member_id = {{a9}}"
    );
    assert_eq!(run(connection, &update).await, 1);
}

#[tokio::test]
async fn the_guides_example_is_valid_as_it_stands() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVICE).await;
    let stored: String = one(
        &mut tx,
        r#"insert into public.member_facts (member_id, category, fact_key, fact_value, confidence, source_quote)
           values ({a9}, 'injury', 'knee_pain',
                   '{"location": "right_knee", "severity": "moderate", "exercises_to_avoid": ["squats", "lunges"]}',
                   0.95, 'J''ai mal au genou droit depuis janvier')
           returning format('%s %s %s', confidence, verified, gym_id = {A})"#,
    )
    .await;
    assert_eq!(
        stored, "0.50 f t",
        "its conversation is unknown, so it is kept as unverified"
    );
}

#[tokio::test]
async fn a_quote_found_in_the_members_own_turn_verifies_the_fact() {
    let world = World::new().await;
    let mut tx = conversations(&world).await;
    assert_eq!(upsert(&mut tx, KNEE).await, "right_knee 0.90 verified x0 active");
}

#[tokio::test]
async fn a_quote_that_the_member_did_not_say_there_leaves_the_fact_unverified() {
    let world = World::new().await;
    for (session, quote) in [
        ("talk-1", "j'ai mal au genou gauche"),
        ("talk-1", "Tu aimes courir le matin"),
        ("talk-1", "   "),
        ("session-a1", QUOTE),
        ("session-b1", QUOTE),
        ("nowhere", QUOTE),
    ] {
        let mut tx = conversations(&world).await;
        let stored = upsert(
            &mut tx,
            Write {
                session,
                quote: Some(quote),
                ..KNEE
            },
        )
        .await;
        assert_eq!(
            stored, "right_knee 0.50 unverified x0 active",
            "{session}: {quote}"
        );
    }
}

#[tokio::test]
async fn without_a_quote_a_machine_is_believed_half_and_a_person_fully() {
    let world = World::new().await;
    let bare = Write { quote: None, ..KNEE };
    assert_eq!(
        upsert(&mut *conversations(&world).await, bare).await,
        "right_knee 0.50 unverified x0 active"
    );
    assert_eq!(
        upsert(&mut *world.act_as(SERVICE).await, bare).await,
        "right_knee 0.50 unverified x0 active"
    );
    assert_eq!(
        upsert(&mut *world.act_as(MANAGER_A).await, bare).await,
        "right_knee 0.90 unverified x0 active"
    );
}

#[tokio::test]
async fn a_writer_cannot_declare_its_own_fact_verified_or_confirmed() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVICE).await;
    let claim = "insert into public.member_facts (member_id, category, fact_key, fact_value, verified, times_confirmed)
                 values ({a9}, 'goal', 'k', '{}', true, 9) returning format('%s %s', verified, times_confirmed)";
    assert_eq!(one::<String>(&mut tx, claim).await, "f 0");
    let claim =
        "update public.member_facts set verified = true, times_confirmed = 9, last_confirmed_at = now()
                  where member_id = {a9} returning format('%s %s', verified, times_confirmed)";
    assert_eq!(one::<String>(&mut tx, claim).await, "f 0");
}

#[tokio::test]
async fn a_less_certain_value_does_not_replace_a_more_certain_one() {
    let world = World::new().await;
    let mut tx = conversations(&world).await;
    upsert(&mut tx, KNEE).await;
    let answer = upsert(
        &mut tx,
        Write {
            confidence: 0.8,
            session: "talk-2",
            ..BACK
        },
    )
    .await;
    assert_eq!(
        answer, "right_knee 0.90 verified x0 active",
        "the old row comes back, so .single() still works"
    );
    let foreign = upsert(
        &mut tx,
        Write {
            confidence: 1.0,
            session: "small-talk",
            quote: None,
            ..BACK
        },
    )
    .await;
    assert_eq!(
        foreign, "right_knee 0.90 verified x0 active",
        "certainty without evidence is not certainty"
    );
    assert_eq!(
        history(&mut tx).await,
        ["insert", "refuse lower_confidence", "refuse lower_confidence"]
    );
}

#[tokio::test]
async fn a_value_as_certain_replaces_and_closes_the_old_version() {
    let world = World::new().await;
    let mut tx = conversations(&world).await;
    upsert(&mut tx, KNEE).await;
    assert_eq!(
        upsert(
            &mut tx,
            Write {
                session: "talk-2",
                ..BACK
            }
        )
        .await,
        "back 0.90 verified x0 active"
    );
    let versions = lines(
        &mut tx,
        "select format('%s %s %s %s', h.operation, h.session_id, h.valid_to is not null, n.operation)
           from jarvis.member_fact_history h left join jarvis.member_fact_history n on n.id = h.superseded_by
          where h.member_id = {a9} order by h.id",
    )
    .await;
    assert_eq!(versions, ["insert talk-1 t update", "update talk-2 f "]);
}

#[tokio::test]
async fn a_new_value_does_not_inherit_the_old_values_quote() {
    let world = World::new().await;
    let mut tx = conversations(&world).await;
    upsert(
        &mut tx,
        Write {
            confidence: 0.4,
            ..KNEE
        },
    )
    .await;
    let replaced = upsert(
        &mut tx,
        Write {
            session: "small-talk",
            quote: None,
            ..BACK
        },
    )
    .await;
    assert_eq!(replaced, "back 0.50 unverified x0 active");
    assert_eq!(
        one::<i64>(
            &mut tx,
            "select count(source_quote) from public.member_facts where member_id = {a9}"
        )
        .await,
        0
    );
}

#[tokio::test]
async fn the_same_value_from_another_conversation_confirms_and_from_the_same_one_does_not() {
    let world = World::new().await;
    let mut tx = conversations(&world).await;
    upsert(&mut tx, KNEE).await;
    for _ in 0..3 {
        assert_eq!(upsert(&mut tx, KNEE).await, "right_knee 0.90 verified x0 active");
    }
    let second = Write {
        session: "talk-2",
        confidence: 0.7,
        ..KNEE
    };
    for _ in 0..3 {
        assert_eq!(
            upsert(&mut tx, second).await,
            "right_knee 0.90 verified x1 active"
        );
    }
    assert_eq!(
        upsert(&mut tx, KNEE).await,
        "right_knee 0.90 verified x1 active",
        "an old one processed again"
    );
    assert_eq!(history(&mut tx).await, ["insert", "confirm"]);
}

#[tokio::test]
async fn a_confirmation_without_evidence_keeps_the_evidence_there_is() {
    let world = World::new().await;
    let mut tx = conversations(&world).await;
    upsert(&mut tx, KNEE).await;
    let confirmed = upsert(
        &mut tx,
        Write {
            session: "small-talk",
            quote: None,
            ..KNEE
        },
    )
    .await;
    assert_eq!(confirmed, "right_knee 0.90 verified x1 active");
    let evidence =
        "select source_quote || ' / ' || source_session_id from public.member_facts where member_id = {a9}";
    assert_eq!(
        one::<String>(&mut tx, evidence).await,
        format!("{QUOTE} / talk-1")
    );
}

#[tokio::test]
async fn a_confirmed_fact_yields_only_to_evidence_as_certain() {
    let world = World::new().await;
    let mut tx = conversations(&world).await;
    upsert(
        &mut tx,
        Write {
            confidence: 0.5,
            ..KNEE
        },
    )
    .await;
    upsert(
        &mut tx,
        Write {
            confidence: 0.5,
            session: "talk-2",
            ..KNEE
        },
    )
    .await;
    for weak in [
        Write {
            confidence: 0.4,
            session: "talk-3",
            ..BACK
        },
        Write {
            confidence: 0.5,
            session: "small-talk",
            quote: None,
            ..BACK
        },
    ] {
        assert_eq!(upsert(&mut tx, weak).await, "right_knee 0.50 verified x1 active");
    }
    let strong = Write {
        confidence: 0.5,
        session: "talk-4",
        ..BACK
    };
    assert_eq!(upsert(&mut tx, strong).await, "back 0.50 verified x0 active");
    assert_eq!(
        history(&mut tx).await,
        [
            "insert",
            "confirm",
            "refuse confirmed_fact",
            "refuse confirmed_fact",
            "update"
        ]
    );
}

#[tokio::test]
async fn a_persons_correction_wins_over_everything_and_holds() {
    let world = World::new().await;
    let mut tx = conversations(&world).await;
    upsert(&mut tx, KNEE).await;
    upsert(
        &mut tx,
        Write {
            session: "talk-2",
            ..KNEE
        },
    )
    .await;
    become_(&mut tx, MANAGER_A).await;
    let correct =
        "update public.member_facts set fact_value = '{\"location\": \"left_knee\"}', confidence = 0.6
                    where member_id = {a9} returning fact_value ->> 'location'";
    assert_eq!(one::<String>(&mut tx, correct).await, "left_knee");
    become_(&mut tx, SERVER_A).await;
    begin_at(&mut tx, "talk-3", "clock_timestamp()").await;
    let machine = upsert(
        &mut tx,
        Write {
            session: "talk-3",
            confidence: 0.55,
            ..KNEE
        },
    )
    .await;
    assert!(machine.starts_with("left_knee 0.60"), "{machine}");
    assert_eq!(
        history(&mut tx).await,
        ["insert", "confirm", "update", "refuse confirmed_fact"]
    );

    become_(&mut tx, MANAGER_A).await;
    run(
        &mut tx,
        "update public.member_facts set is_active = false where member_id = {a9}",
    )
    .await;
    run(
        &mut tx,
        "update public.member_facts set is_active = true where member_id = {a9}",
    )
    .await;
    run(&mut tx, "reset role").await;
    assert!(
        one::<bool>(
            &mut tx,
            "select is_active from public.member_facts where member_id = {a9}"
        )
        .await
    );
    let actor =
        "select actor from jarvis.member_fact_history where member_id = {a9} order by id desc limit 1";
    assert_eq!(
        one::<String>(&mut tx, actor).await,
        "user:00000000-0000-7000-8000-0000000000a2"
    );
}

#[tokio::test]
async fn replaying_the_same_write_a_hundred_times_changes_nothing() {
    let world = World::new().await;
    let mut tx = conversations(&world).await;
    upsert(&mut tx, KNEE).await;
    let whole = "select to_jsonb(f)::text from public.member_facts f where member_id = {a9}";
    let before: String = one(&mut tx, whole).await;
    for _ in 0..100 {
        upsert(&mut tx, KNEE).await;
    }
    assert_eq!(one::<String>(&mut tx, whole).await, before);
    assert_eq!(history(&mut tx).await, ["insert"]);
}

#[tokio::test]
async fn known_keys_have_known_types_and_unknown_keys_are_welcome() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    for (category, value, wrong) in [
        ("goal", "[]", "fact_value"),
        ("goal", r#""text""#, "fact_value"),
        ("injury", r#"{"location": 3}"#, "location"),
        (
            "injury",
            r#"{"exercises_to_avoid": "squats"}"#,
            "exercises_to_avoid",
        ),
        ("goal", r#"{"target": []}"#, "target"),
        ("preference", r#"{"subject": true}"#, "subject"),
        ("progress", r#"{"value": {}}"#, "value"),
        ("concern", r#"{"urgency": 1}"#, "urgency"),
    ] {
        let refusal = refused(
            &mut tx,
            &format!(
                "insert into public.member_facts (member_id, category, fact_key, fact_value)
                 values ({{a9}}, '{category}', 'k', '{value}')"
            ),
        )
        .await;
        assert_eq!(
            (
                refusal.code.as_str(),
                refusal.message.as_str(),
                refusal.detail.as_str()
            ),
            ("JF001", "fact_value_invalid", wrong)
        );
    }
    run(
        &mut tx,
        r#"insert into public.member_facts (member_id, category, fact_key, fact_value)
           values ({a9}, 'goal', 'k', '{"target": 5, "unit": "kg", "deadline": null, "reason": {"of": ["mine"]}}')"#,
    )
    .await;
}

#[tokio::test]
async fn deleting_a_fact_is_told_and_forgetting_one_leaves_nothing_of_it() {
    let world = World::new().await;
    let mut tx = conversations(&world).await;
    upsert(&mut tx, KNEE).await;
    run(&mut tx, "delete from public.member_facts where member_id = {a9}").await;
    assert_eq!(history(&mut tx).await, ["insert", "delete"]);
    upsert(&mut tx, KNEE).await;
    let forgotten = "select jarvis.forget_fact({A}, id) from public.member_facts where member_id = {a9}";
    assert!(one::<bool>(&mut tx, forgotten).await);
    assert_eq!(
        one::<i64>(
            &mut tx,
            "select count(*) from public.member_facts where member_id = {a9}"
        )
        .await,
        0
    );
    let left = lines(
        &mut tx,
        "select concat_ws(' ', operation, fact_key, old, new, session_id) from jarvis.member_fact_history
          where member_id = {a9} order by id desc limit 1",
    )
    .await;
    assert_eq!(left, ["delete forgotten"]);
}
