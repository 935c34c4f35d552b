//! Who read or changed what is written down and stays; what a member is handed out is complete; everything has an end.

use crate::world::{
    MANAGER_A, NO_CLAIMS, Persona, SERVER_A, SERVER_B, SERVICE, STAFF_A, SUPER, SYSTEM, World, become_,
    lines, one, refusal_code, refused, run,
};
use sqlx::{PgConnection, Postgres, Transaction};

const EXPORT: &str = "select jarvis.export_member({A}, {a1})::text";

#[tokio::test]
async fn no_role_edits_or_deletes_an_entry_of_the_audit_not_even_its_owner() {
    let world = World::new().await;
    for persona in [NO_CLAIMS, STAFF_A, MANAGER_A, SUPER, SERVER_A, SYSTEM, SERVICE] {
        let mut tx = world.act_as(persona).await;
        for change in [
            "update jarvis.audit_log set reason = 'x'",
            "delete from jarvis.audit_log",
            "truncate jarvis.audit_log",
        ] {
            assert_eq!(
                refusal_code(&mut tx, change).await,
                "42501",
                "{persona:?} {change}"
            );
        }
    }
    let mut owner = world.admin().await;
    for change in [
        "update jarvis.audit_log set reason = 'x'",
        "delete from jarvis.audit_log",
        "truncate jarvis.audit_log",
    ] {
        assert_eq!(refusal_code(&mut owner, change).await, "JA001", "{change}");
    }
}

async fn as_actor(tx: &mut PgConnection, persona: Persona, actor: &str) {
    become_(tx, persona).await;
    run(tx, &format!("select set_config('app.actor', '{actor}', true)")).await;
}

const ENTRIES: &str =
    "select concat_ws(' ', actor, action, entity, coalesce(entity_id, '-')) from jarvis.audit_log
                        where recorded_at >= now() and member_id in ({a1}, {a9}) order by id";

#[tokio::test]
async fn whoever_changes_something_is_entered_by_the_database_and_the_content_is_not() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    as_actor(&mut tx, SERVER_A, "operator").await;
    run(
        &mut tx,
        "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source) values
           ({A}, {a9}, 'memory', true, 'cli'), ({A}, {a9}, 'profiling', false, 'cli');
         insert into jarvis.restrictions (member_id) values ({a1}); delete from jarvis.restrictions",
    )
    .await;
    become_(&mut tx, MANAGER_A).await;
    run(
        &mut tx,
        "insert into public.member_facts (id, member_id, category, fact_key, fact_value)
         values ('ffffffff-0000-7000-8000-000000000001', {a9}, 'goal', 'weight', '{\"detail\": \"turquoise\"}');
         update public.gym_members_v2 set member_notes = 'turquoise' where id = {a9}",
    )
    .await;
    // What the server does by itself, and what is read without being changed, is no entry.
    as_actor(&mut tx, SERVER_A, "server").await;
    run(
        &mut tx,
        "update public.member_facts set expires_at = '2100-01-01' where member_id = {a1}",
    )
    .await;
    run(&mut tx, "reset role").await;
    let user = "user:00000000-0000-7000-8000-0000000000a2";
    assert_eq!(
        lines(&mut tx, ENTRIES).await,
        [
            "operator consent.grant consent memory".to_owned(),
            "operator consent.withdraw consent profiling".to_owned(),
            "operator restriction.insert restriction -".to_owned(),
            "operator restriction.delete restriction -".to_owned(),
            format!("{user} fact.insert fact ffffffff-0000-7000-8000-000000000001"),
            format!("{user} member.update member -"),
        ]
    );
    let words: i64 = one(
        &mut tx,
        "select count(*) from jarvis.audit_log l where l::text like '%turquoise%'",
    )
    .await;
    assert_eq!(words, 0);
}

#[tokio::test]
async fn a_read_is_entered_for_ones_own_gym_alone() {
    let world = World::new().await;
    let read = "select jarvis.note_read({A}, {a1}, 'transcript.read', 'conversation', 'session-a1')";
    for (persona, entered) in [(STAFF_A, 1), (SERVER_A, 1), (SERVER_B, 0)] {
        let mut tx = world.act_as(persona).await;
        run(&mut tx, read).await;
        run(&mut tx, "reset role").await;
        let found: i64 = one(
            &mut tx,
            "select count(*) from jarvis.audit_log where action = 'transcript.read' and entity_id = 'session-a1'",
        )
        .await;
        assert_eq!(found, entered, "{persona:?}");
    }
    let mut tx = world.act_as(STAFF_A).await;
    let other = read.replace("transcript.read", "member.erase");
    assert_eq!(refusal_code(&mut tx, &other).await, "22023");
}

/// The world's own list of members names members too.
async fn with_our_tables_alone(world: &World, persona: Persona) -> Transaction<'static, Postgres> {
    let mut tx = world.admin().await;
    run(&mut tx, "drop schema world cascade").await;
    become_(&mut tx, persona).await;
    tx
}

#[tokio::test]
async fn an_export_holds_every_table_that_names_the_member_and_managers_alone_of_people_get_it() {
    let world = World::new().await;
    for persona in [SERVER_A, MANAGER_A] {
        let mut tx = with_our_tables_alone(&world, persona).await;
        let text: String = one(&mut tx, EXPORT).await;
        let tables: serde_json::Value = serde_json::from_str(&text).unwrap();
        for table in [
            "public.gym_members_v2",
            "public.member_facts",
            "public.conversation_summaries",
            "public.conversation_events",
            "public.member_visits",
            "jarvis.consent_ledger",
            "jarvis.member_fact_history",
            "jarvis.adoption_remains",
        ] {
            assert!(tables[table][0].is_object(), "{table} in {text}");
        }
        assert!(
            !text.contains("aaaaaaaa-0000-7000-8000-000000000002"),
            "nobody else"
        );
        assert!(
            tables["public.conversation_summaries"][0]
                .get("embedding")
                .is_none()
        );
        run(&mut tx, "reset role").await;
        let entered: i64 = one(
            &mut tx,
            "select count(*) from jarvis.audit_log where action = 'member.export' and member_id = {a1}",
        )
        .await;
        assert_eq!(entered, 1);
    }
    for persona in [STAFF_A, SERVER_B] {
        let mut tx = world.act_as(persona).await;
        let nothing: bool = one(&mut tx, "select jarvis.export_member({A}, {a1}) is null").await;
        assert!(nothing, "{persona:?}");
    }
}

#[tokio::test]
async fn a_table_that_is_not_on_the_data_map_stops_an_export_and_is_named() {
    let world = World::new().await;
    for (change, named) in [
        (
            "create table public.lockers (member_id uuid, code text)",
            "public.lockers: member_id, code",
        ),
        (
            "alter table public.member_facts add column mood text",
            "public.member_facts: mood",
        ),
        (
            "create schema operator; create table operator.notes (member_id uuid, note text)",
            "operator.notes: member_id, note",
        ),
    ] {
        let mut tx = with_our_tables_alone(&world, SERVER_A).await;
        run(&mut tx, &format!("reset role; {change}")).await;
        become_(&mut tx, SERVER_A).await;
        let refusal = refused(&mut tx, EXPORT).await;
        assert_eq!(
            (
                refusal.code.as_str(),
                refusal.message.as_str(),
                refusal.detail.as_str()
            ),
            ("JP001", "data_map_incomplete", named)
        );
        assert!(refusal.hint.contains("jarvis.data_map"));
    }
}

#[tokio::test]
async fn every_table_of_ours_that_rests_on_memory_can_be_cleared_by_a_withdrawal() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    run(&mut tx, "drop schema world cascade").await;
    let out_of_reach = "select t.tbl::text from jarvis.member_tables() t
          where t.schema_name in ('public', 'jarvis')
            and (not t.mapped or not has_table_privilege('jarvis_writer', t.tbl, 'select')
                 or not t.by_contract and not has_table_privilege('jarvis_writer', t.tbl, 'delete')
                 or t.by_contract and exists (select from unnest(t.emptied) as c
                                               where not has_column_privilege('jarvis_writer', t.tbl, c, 'update')))";
    assert_eq!(
        lines(&mut tx, out_of_reach).await,
        [""; 0],
        "grant select, delete on each to jarvis_writer, or update on what is emptied"
    );
    run(
        &mut tx,
        "savepoint emptied; update jarvis.data_map set rests_on = 'memory' where table_name = 'member_visits' and column_name = 'source'",
    )
    .await;
    assert_eq!(
        lines(&mut tx, out_of_reach).await.len(),
        1,
        "a column that nobody could empty would be noticed"
    );
    run(&mut tx, "rollback to savepoint emptied").await;
    // A new table with a member's words is cleared without anybody naming it here.
    run(
        &mut tx,
        "create table jarvis.dreams (gym_id uuid, member_id uuid, dream text);
         grant select, delete on jarvis.dreams to jarvis_writer;
         insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
         select 'jarvis', 'dreams', c, 'personal', '1 an', true, 'avec le membre' from unnest(array['gym_id', 'member_id', 'dream']) c;
         insert into jarvis.dreams values ({A}, {a1}, 'turquoise'), ({A}, {a2}, 'verte');
         insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source) values ({A}, {a1}, 'memory', false, 'kiosk')",
    )
    .await;
    let asked = lines(
        &mut tx,
        "select args ->> 'purpose' from jarvis.jobs where kind = 'privacy.withdraw' and unique_key like 'aaaaaaaa-%1:%'",
    )
    .await;
    assert_eq!(asked, ["memory"]);
    become_(&mut tx, SERVER_A).await;
    assert!(one::<bool>(&mut tx, "select jarvis.withdraw_memory({A}, {a1})").await);
    assert!(
        !one::<bool>(&mut tx, "select jarvis.withdraw_memory({A}, {a2})").await,
        "who agrees keeps it"
    );
    assert!(
        !one::<bool>(&mut tx, "select jarvis.withdraw_memory({B}, {b1})").await,
        "of another gym"
    );
    run(&mut tx, "reset role").await;
    assert_eq!(lines(&mut tx, "select dream from jarvis.dreams").await, ["verte"]);
}

#[tokio::test]
async fn what_reception_may_know_ends_with_the_consent_to_share_at_once() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    let answer = |granted: bool| {
        format!(
            "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source)
             values ({{A}}, {{a1}}, 'share_with_staff', {granted}, 'kiosk')"
        )
    };
    for (granted, known) in [(true, true), (false, false)] {
        run(&mut tx, &answer(granted)).await;
        become_(&mut tx, STAFF_A).await;
        let cautions: i64 = one(&mut tx, "select count(*) from public.member_cautions({a1})").await;
        assert_eq!(cautions > 0, known);
        run(&mut tx, "reset role").await;
    }
}

#[tokio::test]
async fn what_is_past_its_time_goes_and_a_health_fact_that_holds_stays() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    run(
        &mut tx,
        "set local session_replication_role = replica;
         update public.conversation_events set \"timestamp\" = now() - interval '91 days' where member_id = {a1};
         update public.conversation_sessions set state = 'processed', ended_at = now() - interval '91 days' where member_id = {a1};
         update public.member_facts set last_confirmed_at = null, updated_at = now() - interval '200 days' where member_id in ({a1}, {a2});
         update public.member_facts set is_active = false where member_id = {a2};
         update jarvis.audit_log set recorded_at = now() - interval '1096 days' where member_id = {a1};
         set local session_replication_role = origin",
    )
    .await;
    let health = "select member_id::text from public.member_facts f where member_id in ({a1}, {a2})
                   and jarvis.is_health_fact(category, fact_key, fact_value, slot)";
    assert_eq!(lines(&mut tx, health).await.len(), 2);
    become_(&mut tx, SERVER_A).await;
    assert_eq!(
        refusal_code(&mut tx, "select jarvis.expire(now())").await,
        "42501"
    );
    become_(&mut tx, SYSTEM).await;
    let unasked = "select coalesce(sum(gone), 0)::bigint from jarvis.expire(now(), true)";
    assert_eq!(
        one::<i64>(&mut tx, unasked).await,
        0,
        "what came along stays for a whole period"
    );
    run(&mut tx, "savepoint asked").await;
    run(&mut tx, "reset role; update jarvis.retention_periods set begun_at = now() - interval '90 days' where subject = 'events'").await;
    become_(&mut tx, SYSTEM).await;
    assert!(one::<i64>(&mut tx, unasked).await > 0, "after that it goes");
    run(&mut tx, "rollback to savepoint asked").await;
    become_(&mut tx, SYSTEM).await;
    let gone = lines(
        &mut tx,
        "select subject || ' ' || (gone > 0)::text from jarvis.expire(now())
          where subject in ('events', 'audit', 'summaries', 'health_facts') order by 1",
    )
    .await;
    assert_eq!(
        gone,
        [
            "audit true",
            "events true",
            "health_facts true",
            "summaries false"
        ]
    );
    run(&mut tx, "reset role").await;
    let left = lines(&mut tx, health).await;
    assert_eq!(
        left,
        ["aaaaaaaa-0000-7000-8000-000000000001"],
        "it was not retired: it is asked about first"
    );
    let events: i64 = one(
        &mut tx,
        "select count(*) from public.conversation_events where member_id = {a1}",
    )
    .await;
    let history: i64 = one(
        &mut tx,
        "select count(*) from jarvis.member_fact_history where member_id = {a2} and category = 'injury'",
    )
    .await;
    assert_eq!((events, history), (0, 0));
    assert!(refusal_code(&mut tx, "delete from jarvis.audit_log").await == "JA001");
    let others: i64 = one(&mut tx, "select count(*) from jarvis.audit_log").await;
    assert!(others > 0);
}

#[tokio::test]
async fn retention_in_batches_takes_what_it_takes_at_once_and_never_a_part_of_a_conversation() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    run(
        &mut tx,
        "update public.conversation_sessions set state = 'processed', ended_at = now();
         update public.member_facts set is_active = false",
    )
    .await;
    become_(&mut tx, SYSTEM).await;
    run(&mut tx, "savepoint all_there").await;
    let at_once = "select subject || ' ' || gone from jarvis.expire('2100-01-01') where gone > 0 order by 1";
    let at_once = lines(&mut tx, at_once).await;
    assert!(at_once.len() >= 4, "{at_once:?}");
    run(&mut tx, "rollback to savepoint all_there").await;
    become_(&mut tx, SYSTEM).await;
    let subjects = lines(&mut tx, "select subject from jarvis.retention_periods order by 1").await;
    let mut in_batches = Vec::new();
    for subject in subjects {
        let batch = format!("select jarvis.expire_some('{subject}', '2100-01-01', false, 1)");
        let halves =
            "select count(*) from (select session_id from public.conversation_events group by 1) now_there";
        let mut together = 0;
        loop {
            run(&mut tx, "reset role").await;
            let conversations: i64 = one(&mut tx, halves).await;
            become_(&mut tx, SYSTEM).await;
            let gone: i64 = one(&mut tx, &batch).await;
            run(&mut tx, "reset role").await;
            let left: i64 = one(&mut tx, halves).await;
            become_(&mut tx, SYSTEM).await;
            assert!(gone <= 1 || subject == "events", "{subject}: {gone}");
            assert_eq!(conversations - left, i64::from(subject == "events" && gone > 0));
            together += gone;
            if gone == 0 {
                break;
            }
        }
        if together > 0 {
            in_batches.push(format!("{subject} {together}"));
        }
    }
    assert_eq!(in_batches, at_once);
    let unknown = "select jarvis.expire_some('dreams', now(), false, 1)";
    assert_eq!(refusal_code(&mut tx, unknown).await, "JR001");
}

#[tokio::test]
async fn an_active_caution_outlives_its_own_end_until_it_was_asked_about() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    run(
        &mut tx,
        "set local session_replication_role = replica;
         update public.member_facts set last_confirmed_at = null, updated_at = now() - interval '184 days',
                expires_at = now() - interval '1 day' where member_id = {a1};
         set local session_replication_role = origin",
    )
    .await;
    let kept = "select count(*) from public.member_facts where member_id = {a1} and category = 'injury' and is_active";
    become_(&mut tx, SYSTEM).await;
    run(&mut tx, "select jarvis.expire(now())").await;
    run(&mut tx, "reset role").await;
    assert_eq!(one::<i64>(&mut tx, kept).await, 1);
    let history =
        "select count(*) from jarvis.member_fact_history where member_id = {a1} and category = 'injury'";
    assert!(one::<i64>(&mut tx, history).await > 0);
}

#[tokio::test]
async fn nothing_of_a_restricted_member_is_past_its_time() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    run(
        &mut tx,
        "insert into jarvis.restrictions (gym_id, member_id) values ({A}, {a1});
         set local session_replication_role = replica;
         update public.conversation_sessions set state = 'processed', ended_at = now();
         update public.member_facts set is_active = false;
         set local session_replication_role = origin",
    )
    .await;
    let count = async |tx: &mut PgConnection, member: &str| {
        lines(
            tx,
            &format!(
                "select 'events ' || count(*) from public.conversation_events where member_id = {member}
                 union all select 'summaries ' || count(*) from public.conversation_summaries where member_id = {member}
                 union all select 'windows ' || count(*) from jarvis.memory_windows where member_id = {member}
                 union all select 'facts ' || count(*) from public.member_facts where member_id = {member}
                 union all select 'history ' || count(*) from jarvis.member_fact_history where member_id = {member}
                 union all select 'audit ' || count(*) from jarvis.audit_log where member_id = {member}"
            ),
        )
        .await
    };
    let before = (count(&mut tx, "{a1}").await, count(&mut tx, "{a2}").await);
    become_(&mut tx, SYSTEM).await;
    run(&mut tx, "select jarvis.expire(now() + interval '40 years')").await;
    run(&mut tx, "reset role").await;
    assert_eq!(count(&mut tx, "{a1}").await, before.0);
    assert_ne!(count(&mut tx, "{a2}").await, before.1);
}

#[tokio::test]
async fn a_conversation_leaves_as_a_whole() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    run(
        &mut tx,
        "set local session_replication_role = replica;
         update public.conversation_events set \"timestamp\" = now() - interval '91 days' where member_id in ({a1}, {a2});
         update public.conversation_sessions set state = 'processed', ended_at = now() - interval '89 days' where member_id = {a1};
         update public.conversation_sessions set state = 'processed', ended_at = now() - interval '91 days' where member_id = {a2};
         set local session_replication_role = origin",
    )
    .await;
    become_(&mut tx, SYSTEM).await;
    run(&mut tx, "select jarvis.expire(now())").await;
    run(&mut tx, "reset role").await;
    let left = lines(
        &mut tx,
        "select distinct (member_id = {a1})::text from public.conversation_events where member_id in ({a1}, {a2})",
    )
    .await;
    assert_eq!(left, ["true"], "it went on after the limit");
}
