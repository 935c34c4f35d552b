//! Nothing is remembered without the member's agreement, and each refusal says what is missing.

use crate::world::{MANAGER_A, Persona, SERVER_A, SERVICE, World, become_, one, refused, run};
use sqlx::{PgConnection, Postgres, Transaction};

const FACT: &str = "insert into public.member_facts (member_id, category, fact_key, fact_value)
                    values ({a9}, 'goal', 'weight', '{\"kind\": \"weight_loss\"}')";
const INJURY: &str = "insert into public.member_facts (member_id, category, fact_key, fact_value)
                      values ({a9}, 'injury', 'knee_pain', '{\"location\": \"right_knee\"}')";
const SUMMARY: &str = "insert into public.conversation_summaries (session_id, member_id, summary_text)
                       values ('s9', {a9}, 'Il veut perdre du poids.')";
const EVENT: &str = "insert into public.conversation_events
                       (session_id, member_id, event_type, transcript, tool_name, tool_args, tool_result)
                     values ('s9', {a9}, 'user_transcript', 'mal au genou', 'weather', '{\"q\": 1}', '{\"a\": 1}')
                     returning (transcript is not null)::int + (tool_args is not null)::int
                             + (tool_result is not null)::int";

async fn answer(connection: &mut PgConnection, purpose: &str, granted: bool, by_guardian: bool) {
    run(
        connection,
        &format!(
            "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, by_guardian, source)
             values ({{A}}, {{a9}}, '{purpose}', {granted}, {by_guardian}, 'kiosk')"
        ),
    )
    .await;
}

/// The bare member of gym A with exactly these consents, and `persona` at work.
async fn with_consents(world: &World, persona: Persona, purposes: &[&str]) -> Transaction<'static, Postgres> {
    let mut tx = world.admin().await;
    for purpose in ["voice", "memory", "health_memory"] {
        answer(&mut tx, purpose, purposes.contains(&purpose), false).await;
    }
    become_(&mut tx, persona).await;
    tx
}

#[tokio::test]
async fn without_memory_facts_and_summaries_are_refused_with_a_code_a_purpose_and_a_way_out() {
    let world = World::new().await;
    for persona in [SERVER_A, SERVICE, MANAGER_A] {
        let mut tx = with_consents(&world, persona, &["voice", "health_memory"]).await;
        for insert in [FACT, INJURY, SUMMARY] {
            let refusal = refused(&mut tx, insert).await;
            assert_eq!(
                (
                    refusal.code.as_str(),
                    refusal.message.as_str(),
                    refusal.detail.as_str()
                ),
                ("JC001", "consent_required", "memory"),
                "{persona:?}"
            );
            assert!(refusal.hint.contains("accord du membre"));
        }
    }
}

#[tokio::test]
async fn without_health_memory_only_health_facts_are_refused() {
    let world = World::new().await;
    for persona in [SERVER_A, SERVICE, MANAGER_A] {
        let mut tx = with_consents(&world, persona, &["memory"]).await;
        let refusal = refused(&mut tx, INJURY).await;
        assert_eq!(
            (refusal.code.as_str(), refusal.detail.as_str()),
            ("JC001", "health_memory")
        );
        run(&mut tx, FACT).await;
        run(&mut tx, SUMMARY).await;
        let disguised = "insert into public.member_facts (member_id, category, fact_key, fact_value)
                         values ({a9}, 'concern', 'state', '{\"kind\": \"pregnancy\"}')";
        assert_eq!(refused(&mut tx, disguised).await.detail, "health_memory");
    }
}

#[tokio::test]
async fn with_both_consents_everything_is_kept() {
    let world = World::new().await;
    for persona in [SERVER_A, SERVICE, MANAGER_A] {
        let mut tx = with_consents(&world, persona, &["memory", "health_memory"]).await;
        run(&mut tx, FACT).await;
        run(&mut tx, INJURY).await;
        run(&mut tx, SUMMARY).await;
        assert_eq!(one::<i32>(&mut tx, EVENT).await, 3);
    }
}

#[tokio::test]
async fn without_memory_an_event_is_kept_without_its_words() {
    let world = World::new().await;
    for persona in [SERVER_A, SERVICE, MANAGER_A] {
        let mut tx = with_consents(&world, persona, &["voice", "health_memory"]).await;
        assert_eq!(one::<i32>(&mut tx, EVENT).await, 0, "{persona:?}");
        assert_eq!(
            run(
                &mut tx,
                "select from public.conversation_events where session_id = 's9'"
            )
            .await,
            1
        );
        run(
            &mut tx,
            "update public.conversation_events set transcript = 'mal au genou' where session_id = 's9'",
        )
        .await;
        let words = "select count(transcript) from public.conversation_events where session_id = 's9'";
        assert_eq!(one::<i64>(&mut tx, words).await, 0, "an update is no way around");
    }
}

#[tokio::test]
async fn without_health_memory_only_our_server_which_masks_health_keeps_words() {
    let world = World::new().await;
    for (persona, kept) in [(SERVER_A, 3), (SERVICE, 0), (MANAGER_A, 0)] {
        let mut tx = with_consents(&world, persona, &["memory"]).await;
        assert_eq!(one::<i32>(&mut tx, EVENT).await, kept, "{persona:?}");
    }
}

#[tokio::test]
async fn the_newest_answer_counts() {
    let world = World::new().await;
    let mut tx = with_consents(&world, SERVER_A, &["memory"]).await;
    let given = "select jarvis.has_consent({A}, {a9}, 'memory')";
    assert!(one::<bool>(&mut tx, given).await);
    answer(&mut tx, "memory", false, false).await;
    assert!(!one::<bool>(&mut tx, given).await);
    assert_eq!(refused(&mut tx, FACT).await.code, "JC001");
    answer(&mut tx, "memory", true, false).await;
    assert!(one::<bool>(&mut tx, given).await);
    run(
        &mut tx,
        "insert into jarvis.consent_ledger (member_id, purpose, granted, source, recorded_at)
         values ({a9}, 'memory', false, 'import', '2020-01-01')",
    )
    .await;
    assert!(
        !one::<bool>(&mut tx, given).await,
        "what is written later counts, whatever its clock said"
    );
}

#[tokio::test]
async fn a_withdrawal_recorded_by_a_slow_clock_wins_over_a_consent_recorded_by_a_fast_one() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    for (purpose, granted, clock) in [
        ("voice", "true", "'2400-01-01'"),
        ("voice", "false", "'2020-01-01'"),
        ("profiling", "true", "'infinity'"),
        ("profiling", "false", "now()"),
        ("share_with_staff", "true", "'2021-01-01'"),
    ] {
        run(
            &mut tx,
            &format!(
                "insert into jarvis.consent_ledger (member_id, purpose, granted, source, recorded_at)
                 values ({{a9}}, '{purpose}', {granted}, 'kiosk', {clock})"
            ),
        )
        .await;
    }
    for (purpose, given) in [("voice", false), ("profiling", false), ("share_with_staff", true)] {
        let has = format!("select jarvis.has_consent({{A}}, {{a9}}, '{purpose}')");
        assert_eq!(one::<bool>(&mut tx, &has).await, given, "{purpose}");
    }
    let after: bool = one(
        &mut tx,
        "select max(recorded_at) = timestamptz '2400-01-01' + interval '1 microsecond'
           from jarvis.consent_ledger where member_id = {a9} and purpose = 'voice'",
    )
    .await;
    assert!(after);
}

#[tokio::test]
async fn of_two_answers_at_once_the_one_written_later_waits_and_counts() {
    const ANSWER: &str =
        "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source, recorded_at)
                          values ({A}, {a9}, 'voice', {granted}, 'kiosk', {clock})";
    let world = World::new().await;
    let mut grant = world.act_as(SERVER_A).await;
    let mut withdrawal = world.act_as(SERVER_A).await;
    let yes = ANSWER
        .replace("{granted}", "true")
        .replace("{clock}", "'2400-01-01'");
    run(&mut grant, &yes).await;
    let withdrawing = tokio::spawn(async move {
        let no = ANSWER.replace("{granted}", "false").replace("{clock}", "now()");
        run(&mut withdrawal, &no).await;
        withdrawal.commit().await.unwrap();
    });
    let mut onlooker = world.admin().await;
    let waiting = "select exists (select from pg_stat_activity
                                   where datname = current_database() and wait_event_type = 'Lock')";
    while !one::<bool>(&mut onlooker, waiting).await {
        assert!(!withdrawing.is_finished(), "it did not wait");
        run(&mut onlooker, "select pg_stat_clear_snapshot()").await;
    }
    grant.commit().await.unwrap();
    withdrawing.await.unwrap();
    assert!(!one::<bool>(&mut onlooker, "select jarvis.has_consent({A}, {a9}, 'voice')").await);
}

#[tokio::test]
async fn no_answer_is_a_no() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    assert!(!one::<bool>(&mut tx, "select jarvis.has_consent({A}, {a1}, 'profiling')").await);
    assert!(!one::<bool>(&mut tx, "select jarvis.has_consent({A}, {a1}, 'no such purpose')").await);
}

#[tokio::test]
async fn under_fifteen_a_guardian_answers() {
    let world = World::new().await;
    for (born, guardian, given) in [
        ("current_date - interval '14 years 364 days'", false, false),
        ("current_date - interval '14 years 364 days'", true, true),
        ("current_date - interval '15 years'", false, true),
    ] {
        let mut tx = world.admin().await;
        run(
            &mut tx,
            &format!("update public.gym_members_v2 set date_of_birth = {born} where id = {{a9}}"),
        )
        .await;
        for purpose in PURPOSES {
            if given {
                answer(&mut tx, purpose, true, guardian).await;
            } else {
                // Whatever the clock of who asked says.
                for moment in ["now()", "'2100-01-01'", "now() - interval '1 year'"] {
                    let refusal = refused(
                        &mut tx,
                        &format!(
                            "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source, recorded_at)
                             values ({{A}}, {{a9}}, '{purpose}', true, 'kiosk', {moment})"
                        ),
                    )
                    .await;
                    assert_eq!(
                        (
                            refusal.code.as_str(),
                            refusal.message.as_str(),
                            refusal.detail.as_str()
                        ),
                        ("JC002", "guardian_required", purpose)
                    );
                    assert!(refusal.hint.contains("--by-guardian"));
                }
            }
        }
        become_(&mut tx, SERVER_A).await;
        for purpose in PURPOSES {
            let has = format!("select jarvis.has_consent({{A}}, {{a9}}, '{purpose}')");
            assert_eq!(
                one::<bool>(&mut tx, &has).await,
                given,
                "{born} {guardian} {purpose}"
            );
        }
        if given {
            run(&mut tx, INJURY).await;
        } else {
            assert_eq!(refused(&mut tx, FACT).await.detail, "memory");
            assert_eq!(one::<i32>(&mut tx, EVENT).await, 0);
        }
    }
}

const PURPOSES: [&str; 5] = [
    "voice",
    "memory",
    "health_memory",
    "profiling",
    "share_with_staff",
];

/// What a database of before holds: a child's own yes.
async fn own_yes_of_a_child(tx: &mut PgConnection, purpose: &str, asked: &str) {
    run(
        tx,
        &format!(
            "set local session_replication_role = replica;
             insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source, recorded_at)
             values ({{A}}, {{a9}}, '{purpose}', true, 'kiosk', {asked});
             set local session_replication_role = origin"
        ),
    )
    .await;
}

#[tokio::test]
async fn an_own_yes_of_a_child_takes_nothing_from_what_the_guardian_allowed() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    run(
        &mut tx,
        "update public.gym_members_v2 set date_of_birth = current_date - interval '12 years' where id = {a9};
         delete from jarvis.jobs where kind = 'privacy.withdraw'",
    )
    .await;
    for purpose in PURPOSES {
        answer(&mut tx, purpose, true, true).await;
        own_yes_of_a_child(&mut tx, purpose, "clock_timestamp()").await;
        let has = format!("select jarvis.has_consent({{A}}, {{a9}}, '{purpose}')");
        assert!(one::<bool>(&mut tx, &has).await, "{purpose}");
        // Of a guardian who says it again, nobody withdraws anything either.
        answer(&mut tx, purpose, true, true).await;
    }
    let withdrawals = "select count(*) from jarvis.jobs where kind = 'privacy.withdraw'";
    assert_eq!(one::<i64>(&mut tx, withdrawals).await, 0);
    answer(&mut tx, "memory", false, false).await;
    let has = "select jarvis.has_consent({A}, {a9}, 'memory')";
    assert!(!one::<bool>(&mut tx, has).await, "a no counts, whoever says it");
    assert_eq!(one::<i64>(&mut tx, withdrawals).await, 1);
}

#[tokio::test]
async fn what_a_child_agreed_to_does_not_bind_them_on_their_birthday() {
    let world = World::new().await;
    for purpose in PURPOSES {
        let mut tx = world.admin().await;
        run(
            &mut tx,
            "update public.gym_members_v2 set date_of_birth = current_date - interval '16 years' where id = {a9};
             set local session_replication_role = replica;
             delete from jarvis.consent_ledger where member_id = {a9};
             set local session_replication_role = origin",
        )
        .await;
        own_yes_of_a_child(&mut tx, purpose, "now() - interval '2 years'").await;
        let has = format!("select jarvis.has_consent({{A}}, {{a9}}, '{purpose}')");
        assert!(!one::<bool>(&mut tx, &has).await, "{purpose}");
        answer(&mut tx, purpose, true, false).await;
        assert!(
            one::<bool>(&mut tx, &has).await,
            "asked again, they say it themselves"
        );
    }
}

#[tokio::test]
async fn an_answer_is_never_changed_or_deleted() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    for change in [
        "update jarvis.consent_ledger set granted = false",
        "delete from jarvis.consent_ledger",
        "truncate jarvis.consent_ledger",
    ] {
        let refusal = refused(&mut tx, change).await;
        assert_eq!(
            (refusal.code.as_str(), refusal.message.as_str()),
            ("JA001", "append_only"),
            "{change}"
        );
    }
}

#[tokio::test]
async fn ending_a_fact_needs_no_consent_and_changing_one_does() {
    let world = World::new().await;
    let mut tx = with_consents(&world, SERVER_A, &["memory", "health_memory"]).await;
    run(&mut tx, INJURY).await;
    answer(&mut tx, "memory", false, false).await;
    let change =
        "update public.member_facts set fact_value = '{\"location\": \"back\"}' where member_id = {a9}";
    assert_eq!(refused(&mut tx, change).await.detail, "memory");
    run(
        &mut tx,
        "update public.member_facts set is_active = false where member_id = {a9}",
    )
    .await;
    let revive =
        "update public.member_facts set is_active = true, source_session_id = 'x' where member_id = {a9}";
    assert_eq!(refused(&mut tx, revive).await.detail, "memory");
}

#[tokio::test]
async fn the_ledger_says_who_recorded_an_answer() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    run(&mut tx, "set local app.actor = 'kiosk:7'").await;
    answer(&mut tx, "voice", true, false).await;
    let actor = "select actor from jarvis.consent_ledger where member_id = {a9} and purpose = 'voice'";
    assert_eq!(one::<String>(&mut tx, actor).await, "kiosk:7");
}

#[tokio::test]
async fn a_login_that_inherits_the_servers_rights_is_asked_for_consent_too() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    let name = format!("inheriting_{}", world.db.name());
    run(
        &mut tx,
        &format!(
            "create role {name}; grant jarvis_server to {name} with inherit true; set local role {name}"
        ),
    )
    .await;
    run(
        &mut tx,
        "set local app.gym_id = 'aaaaaaaa-0000-7000-8000-000000000000'",
    )
    .await;
    assert_eq!(
        one::<i64>(&mut tx, "select count(*) from public.gym_members_v2").await,
        3
    );
    let insert = "insert into public.conversation_summaries (session_id, member_id, summary_text)
                  select 'new', id, 'x' from public.gym_members_v2 where id = {a9}";
    run(&mut tx, insert).await;
    run(&mut tx, "reset role").await;
    answer(&mut tx, "memory", false, false).await;
    run(&mut tx, &format!("set local role {name}")).await;
    let refusal = refused(&mut tx, &insert.replace("'new'", "'new-2'")).await;
    assert_eq!(
        (refusal.code.as_str(), refusal.detail.as_str()),
        ("JC001", "memory")
    );
}
