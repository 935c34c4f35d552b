//! What the database does by itself: sessions of other applications, late events, visits, dates.

use crate::world::{
    MANAGER_A, Persona, SERVER_A, SERVICE, World, become_, lines, one, refusal_code, refused, run,
};

#[tokio::test]
async fn an_event_of_an_unknown_session_opens_one_for_its_member() {
    let world = World::new().await;
    for persona in [SERVICE, MANAGER_A, SERVER_A] {
        let mut tx = world.act_as(persona).await;
        run(
            &mut tx,
            r#"insert into public.conversation_events (session_id, member_id, event_type, transcript, "timestamp")
               values ('from-elsewhere', {a1}, 'user_transcript', 'Bonjour', '2026-01-02 10:00+00')"#,
        )
        .await;
        let opened = lines(
            &mut tx,
            "select format('%s %s %s %s', channel, state, member_id = {a1}, gym_id = {A})
               from public.conversation_sessions where session_id = 'from-elsewhere'",
        )
        .await;
        assert_eq!(opened, ["external open t t"], "{persona:?}");
    }
}

#[tokio::test]
async fn an_event_of_an_unknown_session_without_a_member_is_refused() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVICE).await;
    let refusal = refused(
        &mut tx,
        "insert into public.conversation_events (session_id, event_type) values ('nowhere', 'error')",
    )
    .await;
    assert_eq!(
        (refusal.code.as_str(), refusal.message.as_str()),
        ("JS001", "session_not_found")
    );
}

#[tokio::test]
async fn an_event_takes_its_member_and_gym_from_its_session() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVICE).await;
    let filled: bool = one(
        &mut tx,
        "insert into public.conversation_events (session_id, event_type) values ('session-a1', 'error')
         returning member_id = {a1} and gym_id = {A}",
    )
    .await;
    assert!(filled);
}

#[tokio::test]
async fn an_event_for_another_members_session_is_refused() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let insert = "insert into public.conversation_events (session_id, event_type, member_id)
                  values ('session-a1', 'error', {a2})";
    assert_eq!(
        refused(&mut tx, insert).await.message,
        "session_of_another_member"
    );
    let update = "update public.conversation_events set member_id = {a2} where session_id = 'session-a1'";
    assert_eq!(refusal_code(&mut tx, update).await, "JS002");
    let update = "update public.conversation_sessions set member_id = {a2} where session_id = 'session-a1'";
    assert_eq!(refusal_code(&mut tx, update).await, "JS002");
}

#[tokio::test]
async fn an_event_may_come_ten_minutes_late_and_no_later() {
    let world = World::new().await;
    for (minutes, accepted) in [(9, true), (11, false)] {
        let mut tx = world.act_as(SERVER_A).await;
        run(
            &mut tx,
            &format!(
                "update public.conversation_sessions set state = 'closing', ended_at = now() - interval '{minutes} min'
                  where session_id = 'session-a1'"
            ),
        )
        .await;
        let insert =
            "insert into public.conversation_events (session_id, event_type) values ('session-a1', 'error')";
        if accepted {
            run(&mut tx, insert).await;
        } else {
            assert_eq!(refused(&mut tx, insert).await.message, "session_closed");
        }
    }
}

#[tokio::test]
async fn only_our_server_may_say_when_an_event_arrived() {
    let world = World::new().await;
    let insert = "insert into public.conversation_events (session_id, event_type, received_at)
                  values ('session-a1', 'error', '2001-01-01') returning extract(year from received_at)::int";
    assert_eq!(one::<i32>(&mut *world.act_as(SERVER_A).await, insert).await, 2001);
    assert!(one::<i32>(&mut *world.act_as(SERVICE).await, insert).await > 2001);
}

#[tokio::test]
async fn a_late_event_of_another_application_sends_the_session_to_processing_again() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVICE).await;
    run(
        &mut tx,
        "update public.conversation_sessions set state = 'processed', ended_at = now(), attempts = 3
          where session_id = 'session-a1'",
    )
    .await;
    run(
        &mut tx,
        "insert into public.conversation_events (session_id, event_type) values ('session-a1', 'error')",
    )
    .await;
    let now: String = one(
        &mut tx,
        "select format('%s %s %s', state, attempts, last_event_at is not null) from public.conversation_sessions
          where session_id = 'session-a1'",
    )
    .await;
    assert_eq!(now, "closing 0 t");
}

#[tokio::test]
async fn an_event_dated_in_the_future_counts_as_of_now() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVICE).await;
    run(
        &mut tx,
        r#"insert into public.conversation_events (session_id, event_type, "timestamp")
           values ('session-a1', 'error', '2400-01-01');
           insert into public.conversation_events (session_id, member_id, event_type, "timestamp")
           values ('past', {a2}, 'error', '2026-01-02 10:00+00')"#,
    )
    .await;
    let last = lines(
        &mut tx,
        "select (case last_event_at when now() then 'now' else last_event_at::date::text end)
           from public.conversation_sessions where session_id in ('session-a1', 'past') order by session_id desc",
    )
    .await;
    assert_eq!(last, ["now", "2026-01-02"]);
}

#[tokio::test]
async fn a_kiosk_has_one_open_session_at_most() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let another = "insert into public.conversation_sessions (session_id, member_id, kiosk_id)
                   select 'another', {a2}, kiosk_id from public.conversation_sessions where session_id = 'session-a1'";
    let refusal = refused(&mut tx, another).await;
    assert_eq!(refusal.code, "23505");
    assert!(
        refusal
            .message
            .contains("conversation_sessions_one_open_per_kiosk"),
        "{}",
        refusal.message
    );
    run(
        &mut tx,
        "insert into public.conversation_sessions (session_id, member_id) values ('app-1', {a1}), ('app-2', {a1})",
    )
    .await;
    run(
        &mut tx,
        "update public.conversation_sessions set state = 'closing', ended_at = now() where session_id = 'session-a1'",
    )
    .await;
    run(&mut tx, another).await;
}

#[tokio::test]
async fn the_same_provider_event_twice_is_one_row() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let insert = "insert into public.conversation_events (session_id, event_type, provider_event_id)
                  values ('session-a1', 'error', 'p1') on conflict (session_id, provider_event_id) do nothing";
    assert_eq!(run(&mut tx, insert).await, 1);
    assert_eq!(run(&mut tx, insert).await, 0);
}

#[tokio::test]
async fn visits_move_the_members_counters_and_never_change() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    run(
        &mut tx,
        "insert into public.member_visits (member_id, visited_at, source, quantity)
         values ({a9}, '2025-03-01', 'opening_balance', 40), ({a9}, '2025-01-01', 'import', 1)",
    )
    .await;
    let counted: String = one(
        &mut tx,
        "select format('%s %s', total_visits, (last_visit at time zone 'UTC')::date)
           from public.gym_members_v2 where id = {a9}",
    )
    .await;
    assert_eq!(
        counted, "41 2025-03-01",
        "an older visit does not move the last one back"
    );
    for change in [
        "update public.member_visits set quantity = 1",
        "delete from public.member_visits",
    ] {
        let refusal = refused(&mut tx, change).await;
        assert_eq!(
            (refusal.code.as_str(), refusal.message.as_str()),
            ("JA001", "append_only"),
            "{change}"
        );
    }
    tx.rollback().await.unwrap();
    let mut tx = world.admin().await;
    assert_eq!(
        refusal_code(&mut tx, "truncate public.member_visits").await,
        "JA001"
    );
    let many = "insert into public.member_visits (gym_id, member_id, quantity) values ({A}, {a9}, 2)";
    assert_eq!(refusal_code(&mut tx, many).await, "23514", "one visit is one row");
}

#[tokio::test]
async fn no_entry_of_a_ledger_is_ever_edited() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    for change in [
        "update jarvis.price_book set usd_per_million = 0",
        "delete from jarvis.price_book",
        "update jarvis.usage_ledger set cost_usd = 0",
        "update jarvis.audit_log set reason = 'x'",
    ] {
        assert_eq!(refusal_code(&mut tx, change).await, "JA001", "{change}");
    }
}

#[tokio::test]
async fn erasing_a_member_erases_every_row_of_theirs_and_nobody_elses() {
    let world = World::new().await;
    let mut tx = world.act_as(MANAGER_A).await;
    run(
        &mut tx,
        "insert into jarvis.restrictions (gym_id, member_id) values ({A}, {a1}), ({A}, {a2})",
    )
    .await;
    assert_eq!(
        run(&mut tx, "delete from public.gym_members_v2 where id = {a1}").await,
        1
    );
    run(&mut tx, "reset role").await;
    // The ledger of erasures names those who are gone, and nobody else.
    let tables = lines(
        &mut tx,
        "select attrelid::regclass::text from pg_attribute join pg_class c on c.oid = attrelid
          where attname = 'member_id' and relkind = 'r' and c.oid <> 'jarvis.erasures'::regclass
            and relnamespace in ('public'::regnamespace, 'jarvis'::regnamespace)",
    )
    .await;
    assert!(tables.len() >= 12, "{tables:?}");
    for table in tables {
        assert_eq!(
            one::<i64>(
                &mut tx,
                &format!("select count(*) from {table} where member_id = {{a1}}")
            )
            .await,
            0,
            "{table}"
        );
        assert!(
            one::<i64>(
                &mut tx,
                &format!("select count(*) from {table} where member_id = {{a2}}")
            )
            .await
                > 0,
            "{table}"
        );
    }
}

#[tokio::test]
async fn a_summary_of_a_client_is_marked_as_the_clients_whatever_it_claims() {
    let world = World::new().await;
    let insert = "insert into public.conversation_summaries (session_id, member_id, summary_text, written_by)
                  values ('new', {a9}, 'x', 'jarvis') returning written_by";
    assert_eq!(
        one::<String>(&mut *world.act_as(SERVICE).await, insert).await,
        "client"
    );
    assert_eq!(
        one::<String>(&mut *world.act_as(MANAGER_A).await, insert).await,
        "client"
    );
    let mut tx = world.act_as(SERVER_A).await;
    assert_eq!(one::<String>(&mut tx, insert).await, "jarvis");
    become_(&mut tx, MANAGER_A).await;
    let rewrite = "update public.conversation_summaries set summary_text = 'y' where session_id = 'new' returning written_by";
    assert_eq!(
        one::<String>(&mut tx, rewrite).await,
        "client",
        "what a person rewrote is theirs"
    );
}

#[tokio::test]
async fn a_summary_is_taken_to_be_about_health_unless_our_server_knows_better() {
    let world = World::new().await;
    let insert =
        "insert into public.conversation_summaries (session_id, member_id, summary_text, tells_health)
                  values ('new', {a9}, 'x', false) returning tells_health";
    for persona in [SERVICE, MANAGER_A] {
        assert!(
            one::<bool>(&mut *world.act_as(persona).await, insert).await,
            "{persona:?}"
        );
    }
    let mut tx = world.act_as(SERVER_A).await;
    let silent = "insert into public.conversation_summaries (session_id, member_id, summary_text)
                  values ('silent', {a9}, 'x') returning tells_health";
    assert!(one::<bool>(&mut tx, silent).await);
    assert!(!one::<bool>(&mut tx, insert).await);
    for change in ["tells_health = false", "summary_text = 'y'"] {
        let change = format!(
            "update public.conversation_summaries set {change} where session_id = 'new' returning tells_health"
        );
        become_(&mut tx, MANAGER_A).await;
        assert!(one::<bool>(&mut tx, &change).await, "{change}");
        become_(&mut tx, SERVER_A).await;
        let ours = "update public.conversation_summaries set tells_health = false where session_id = 'new'
                    returning tells_health";
        assert!(!one::<bool>(&mut tx, ours).await);
    }
}

#[tokio::test]
async fn a_second_summary_of_a_session_is_refused() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let insert = "insert into public.conversation_summaries (session_id, member_id, summary_text)
                  values ('session-a1', {a1}, 'x')";
    assert_eq!(refusal_code(&mut tx, insert).await, "23505");
}

#[tokio::test]
async fn only_one_open_alert_has_a_dedup_key() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    let insert = "insert into public.manager_alerts (member_id, alert_type, title, dedup_key)
                  values ({a1}, 'inactivity', 'x', 'inactivity:1')";
    run(&mut tx, insert).await;
    assert_eq!(refusal_code(&mut tx, insert).await, "23505");
    run(
        &mut tx,
        "update public.manager_alerts set status = 'resolved', outcome = 'returned' where dedup_key = 'inactivity:1'",
    )
    .await;
    run(&mut tx, insert).await;
}

#[tokio::test]
async fn analytics_keep_one_row_a_day() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    run(
        &mut tx,
        "update public.member_analytics set total_sessions = 1 where member_id = {a1}",
    )
    .await;
    run(
        &mut tx,
        "update public.member_analytics set total_sessions = 2 where member_id = {a1}",
    )
    .await;
    let kept = lines(
        &mut tx,
        "select data ->> 'total_sessions' from jarvis.member_analytics_history where member_id = {a1}",
    )
    .await;
    assert_eq!(kept, ["2"]);
}

#[tokio::test]
async fn impossible_values_are_refused() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    for change in [
        "update public.gyms set timezone = 'Europe/Atlantis'",
        "update public.gyms set timezone = 'FOO3'",
        "update public.gym_members_v2 set badge_id = '  '",
        "update public.gym_members_v2 set email = 'nobody'",
        "update public.gym_members_v2 set phone = 'call me'",
        "update public.gym_members_v2 set membership_expires = member_since - 1",
        "update public.kiosks set public_key = '{\"kty\": \"OKP\", \"d\": \"private\"}'",
        "update public.conversation_sessions set state = 'processed', ended_at = null",
        "insert into public.conversation_sessions (session_id, gym_id, member_id) values ('a b', {A}, {a1})",
        "insert into public.conversation_sessions (session_id, gym_id, member_id) values (E'a\\tb', {A}, {a1})",
        "insert into public.conversation_sessions (session_id, gym_id, member_id) values (E'ab\\n', {A}, {a1})",
        "insert into public.conversation_sessions (session_id, gym_id, member_id) values (E'a\\x7fb', {A}, {a1})",
        "insert into public.conversation_sessions (session_id, gym_id, member_id) values (E'\\u00a0', {A}, {a1})",
        "insert into public.conversation_sessions (session_id, gym_id, member_id) values ('', {A}, {a1})",
        "update public.member_analytics set preferred_days_of_week = '{8}'",
    ] {
        let code = refusal_code(&mut tx, change).await;
        assert!(["23514", "22023"].contains(&code.as_str()), "{change}: {code}");
    }
    for change in [
        "update public.gym_members_v2 set phone = '06.12.34.56.78', email = 'lea@exemple.fr'",
        "update public.gyms set timezone = 'America/Argentina/Buenos_Aires'",
        "update public.gyms set timezone = 'UTC'",
    ] {
        run(&mut tx, change).await;
    }
}

#[tokio::test]
async fn a_change_is_dated() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    for table in lines(
        &mut tx,
        "select c.oid::regclass::text from pg_attribute a join pg_class c on c.oid = a.attrelid
          where a.attname = 'updated_at' and c.relkind = 'r' and c.relnamespace = 'public'::regnamespace",
    )
    .await
    {
        let trigger: bool = one(
            &mut tx,
            &format!(
                "select exists (select from pg_trigger where tgrelid = '{table}'::regclass
                                and tgname in ('z90_touch', 'b20_guard'))"
            ),
        )
        .await;
        assert!(trigger, "{table} has updated_at and nothing that moves it");
    }
}

/// What our program says of a batch: that its rows are complete and may be judged together.
const WHOLE: &str = "select set_config('jarvis.judge_events', 'whole', true)";

#[tokio::test]
async fn a_batch_of_our_server_is_judged_by_the_same_rules_as_its_rows() {
    let world = World::new().await;
    let event = |session: &str, member: &str| {
        format!(
            "insert into public.conversation_events (session_id, event_type, gym_id, member_id, transcript)
             select '{session}', 'user_transcript', {{A}}, {member}, 'Bonjour' from generate_series(1, 3)"
        )
    };
    for (session, member, code) in [
        ("session-a1", "{a2}", "JS002"),
        ("session-b1", "{a1}", "23503"),
        ("nowhere", "{a1}", "23503"),
        ("nowhere", "null", "JS001"),
    ] {
        let mut tx = world.act_as(SERVER_A).await;
        run(&mut tx, WHOLE).await;
        assert_eq!(
            refusal_code(&mut tx, &event(session, member)).await,
            code,
            "{session} {member}"
        );
    }
    let mut tx = world.act_as(SERVER_A).await;
    run(&mut tx, WHOLE).await;
    let ended =
        "update public.conversation_sessions set state = 'closing', ended_at = now() - interval '11 min'
                  where session_id = 'session-a1'";
    run(&mut tx, ended).await;
    assert_eq!(
        refused(&mut tx, &event("session-a1", "{a1}")).await.message,
        "session_closed"
    );
}

/// Words that `persona` stores with a batch of three events, one of them without words, after `before`.
async fn words_of_a_batch(world: &World, persona: Persona, before: &str) -> i64 {
    let mut tx = world.act_as(SERVER_A).await;
    run(&mut tx, before).await;
    become_(&mut tx, persona).await;
    run(&mut tx, WHOLE).await;
    run(
        &mut tx,
        "insert into public.conversation_events
           (session_id, event_type, gym_id, member_id, transcript, tool_args, provider_event_id)
         values ('session-a1', 'user_transcript', {A}, {a1}, 'un', null, 'batch-1'),
                ('session-a1', 'tool_call', {A}, {a1}, null, '{\"q\": 1}', 'batch-2'),
                ('session-a1', 'error', {A}, {a1}, null, null, 'batch-3')",
    )
    .await;
    one(
        &mut tx,
        "select count(transcript) + count(tool_args) from public.conversation_events
          where provider_event_id like 'batch-%' and session_id = 'session-a1'",
    )
    .await
}

#[tokio::test]
async fn a_batch_keeps_no_words_once_the_consent_is_withdrawn() {
    let world = World::new().await;
    let withdraw = "insert into jarvis.consent_ledger (member_id, purpose, granted, source)
                    values ({a1}, 'memory', false, 'reception')";
    assert_eq!(words_of_a_batch(&world, SERVER_A, "select 1").await, 2);
    assert_eq!(words_of_a_batch(&world, SERVER_A, withdraw).await, 0);
}

#[tokio::test]
async fn nobody_else_escapes_the_judgement_of_rows_by_calling_them_a_batch() {
    let world = World::new().await;
    let withdraw = "insert into jarvis.consent_ledger (member_id, purpose, granted, source)
                    values ({a1}, 'health_memory', false, 'reception')";
    assert_eq!(words_of_a_batch(&world, SERVICE, withdraw).await, 0);
}
