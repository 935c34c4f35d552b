//! A withdrawal reaches whatever rests on the consent, in tables of ours and of others, or says what it cannot reach.

use crate::world::{
    MANAGER_A, Refusal, SERVER_A, SERVICE, SYSTEM, World, become_, lines, one, refusal_code, refused, run,
};
use sqlx::{PgConnection, Postgres, Transaction};

const MEMORY: &str = "select jarvis.withdraw_memory({A}, {a1})";
const HEALTH: &str = "select coalesce(array_length(jarvis.withdraw_health({A}, {a1}, '{}', '{}', '{}', '{}', '{}', '{}'), 1), 0) = 0";
const EXPORT: &str = "select jarvis.export_member({A}, {a1})::text";

/// The first member of gym A has refused `purpose`. The world's own list of members would name members too.
async fn refusing(world: &World, purpose: &str, made: &str) -> Transaction<'static, Postgres> {
    let mut tx = world.admin().await;
    run(&mut tx, "drop schema world cascade").await;
    if !made.is_empty() {
        run(&mut tx, made).await;
    }
    run(
        &mut tx,
        &format!(
            "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source)
             values ({{A}}, {{a1}}, '{purpose}', false, 'kiosk')"
        ),
    )
    .await;
    tx
}

async fn withdraw(tx: &mut PgConnection, how: &str) {
    become_(tx, SERVER_A).await;
    assert!(one::<bool>(tx, how).await);
    run(tx, "reset role").await;
}

async fn incomplete(tx: &mut PgConnection, how: &str) -> Refusal {
    become_(tx, SERVER_A).await;
    let refusal = refused(tx, how).await;
    run(tx, "reset role").await;
    assert_eq!(
        (refusal.code.as_str(), refusal.message.as_str()),
        ("JP001", "data_map_incomplete")
    );
    refusal
}

/// As an adoption, or an operator who follows `jarvis db lint`, puts a column on the map.
fn on_the_map(table: &str, column: &str, class: &str, rests_on: &str) -> String {
    let (schema, table) = table.split_once('.').unwrap();
    format!(
        "insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how, rests_on)
         values ('{schema}', '{table}', '{column}', '{class}', '1 an', true, 'avec le membre', {rests_on})"
    )
}

#[tokio::test]
async fn a_column_of_the_operator_rests_on_what_its_table_rests_on() {
    let world = World::new().await;
    let mut made = Vec::new();
    for table in [
        "public.gym_members_v2",
        "public.member_visits",
        "public.manager_alerts",
        "public.conversation_events",
        "public.member_facts",
    ] {
        made.push(format!(
            "alter table {table} add column locker text default 'B7' not null"
        ));
        made.push(on_the_map(table, "locker", "personal", "null"));
    }
    let mut tx = refusing(&world, "memory", &made.join(";")).await;
    withdraw(&mut tx, MEMORY).await;
    let of_contract = lines(
        &mut tx,
        "select locker from public.gym_members_v2 where id = {a1}
         union all select locker from public.member_visits where member_id = {a1}
         union all select locker from public.conversation_events where member_id = {a1}",
    )
    .await;
    assert_eq!(of_contract, ["B7", "B7", "B7"]);
    let left = "select (select count(transcript) from public.conversation_events where member_id = {a1})
                     + (select count(*) from public.member_facts where member_id = {a1})";
    assert_eq!(one::<i64>(&mut tx, left).await, 0);
}

#[tokio::test]
async fn a_column_that_rests_on_memory_is_emptied_and_its_table_stays() {
    let world = World::new().await;
    for (purpose, how, class) in [
        ("memory", MEMORY, "personal"),
        ("health_memory", HEALTH, "health"),
    ] {
        let made = [
            "alter table public.member_fitness_profile add column told text".to_owned(),
            "update public.member_fitness_profile set told = 'turquoise'".to_owned(),
            on_the_map("public.member_fitness_profile", "told", class, "'memory'"),
        ];
        let mut tx = refusing(&world, purpose, &made.join(";")).await;
        let refusal = incomplete(&mut tx, how).await;
        assert_eq!(refusal.detail, "public.member_fitness_profile");
        assert!(
            refusal
                .hint
                .contains("update (told) on public.member_fitness_profile to jarvis_writer"),
            "{}",
            refusal.hint
        );
        run(
            &mut tx,
            "grant update (told) on public.member_fitness_profile to jarvis_writer",
        )
        .await;
        withdraw(&mut tx, how).await;
        let told = "select member_id || coalesce(told, '-') from public.member_fitness_profile where member_id in ({a1}, {a2}) order by 1";
        let told = lines(&mut tx, told).await;
        assert!(
            told[0].ends_with("1-") && told[1].ends_with("2turquoise"),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn a_table_of_the_operator_is_cleared_however_it_names_the_member() {
    let world = World::new().await;
    for (columns, row) in [
        ("gym_id uuid, member_id uuid, note text", "{A}, {m}, 'turquoise'"),
        ("member_id uuid, note text", "{m}, 'turquoise'"),
        ("member_id text, note text", "{m}, 'turquoise'"),
        (
            "who uuid references public.gym_members_v2 (id), note text",
            "{m}, 'turquoise'",
        ),
    ] {
        let mut made = vec![
            "create schema operator".to_owned(),
            format!("create table operator.notes ({columns})"),
            format!(
                "insert into operator.notes values ({}), ({})",
                row.replace("{m}", "{a1}"),
                row.replace("{m}", "{a2}")
            ),
        ];
        for column in ["gym_id", "member_id", "who", "note"]
            .into_iter()
            .filter(|c| columns.contains(c))
        {
            made.push(on_the_map("operator.notes", column, "health", "null"));
        }
        for (purpose, how) in [("memory", MEMORY), ("health_memory", HEALTH)] {
            let mut tx = refusing(&world, purpose, &made.join(";")).await;
            let before = "select count(*) from public.member_facts where member_id = {a1}";
            assert_eq!(one::<i64>(&mut tx, before).await, 2);
            let refusal = incomplete(&mut tx, how).await;
            assert_eq!(refusal.detail, "operator.notes");
            for right in ["usage on schema operator", "select, delete on operator.notes"] {
                assert!(refusal.hint.contains(right), "{}", refusal.hint);
            }
            assert_eq!(one::<i64>(&mut tx, before).await, 2, "nothing is half done");
            run(
                &mut tx,
                "grant usage on schema operator to jarvis_writer; grant select, delete on operator.notes to jarvis_writer",
            )
            .await;
            become_(&mut tx, SERVER_A).await;
            let exported: String = one(&mut tx, EXPORT).await;
            assert_eq!(exported.matches("turquoise").count(), 1, "{columns}: {exported}");
            withdraw(&mut tx, how).await;
            let left: i64 = one(&mut tx, "select count(*) from operator.notes").await;
            assert_eq!(left, 1, "{columns} {purpose}: nobody else's");
        }
    }
}

#[tokio::test]
async fn a_table_that_is_not_on_the_data_map_stops_a_withdrawal_and_is_named() {
    let world = World::new().await;
    for (purpose, how) in [("memory", MEMORY), ("health_memory", HEALTH)] {
        let mut tx = refusing(
            &world,
            purpose,
            "create table public.lockers (member_id uuid, code text)",
        )
        .await;
        let refusal = incomplete(&mut tx, how).await;
        assert_eq!(refusal.detail, "public.lockers: member_id, code");
        assert!(refusal.hint.contains("grant select, delete"), "{}", refusal.hint);
    }
}

#[tokio::test]
async fn withdrawing_health_keeps_what_was_decided_about_other_facts() {
    let world = World::new().await;
    let made = "insert into public.member_facts (id, member_id, gym_id, category, fact_key, fact_value)
                values ('00000000-0000-7000-8000-0000000000f1', {a1}, {A}, 'preference', 'music', '{\"subject\": \"jazz\"}'),
                       ('00000000-0000-7000-8000-0000000000f2', {a1}, {A}, 'preference', 'sound', '{\"subject\": \"jazz\"}');
                delete from jarvis.fact_proposals where member_id = {a1} and '00000000-0000-7000-8000-0000000000f1' in (first_fact, other_fact);
                insert into jarvis.fact_proposals (gym_id, member_id, first_fact, other_fact, reason, state, decided_by, decided_at)
                values ({A}, {a1}, '00000000-0000-7000-8000-0000000000f1', '00000000-0000-7000-8000-0000000000f2', 'same_value',
                        'rejected', 'operator', now())";
    let mut tx = refusing(&world, "health_memory", made).await;
    withdraw(&mut tx, HEALTH).await;
    let proposals = "select state from jarvis.fact_proposals where member_id = {a1}";
    assert_eq!(lines(&mut tx, proposals).await, ["rejected"]);
}

#[tokio::test]
async fn what_was_set_aside_of_a_members_words_goes_with_either_consent() {
    let world = World::new().await;
    let aside = "insert into jarvis.adoption_remains (adoption_id, gym_id, member_id, table_name, column_name, row_key, value, reason)
                 select 'ad000000-0000-4000-8000-000000000001', {A}, m, t, c, 'x', to_jsonb(v), 'check'
                   from unnest(array[{a1}, {a2}]::uuid[]) as m,
                        (values ('member_facts', null, 'turquoise'), ('conversation_summaries', 'summary_text', 'turquoise'),
                                ('conversation_events', 'transcript', 'turquoise'), ('conversation_events', null, 'turquoise'),
                                ('manager_alerts', 'description', 'turquoise'), ('conversation_events', 'confidence_score', 'kept'),
                                ('gym_members_v2', 'email', 'kept')) as r (t, c, v);
                 insert into jarvis.legacy_held (gym_id, member_id, source_table, source_id, source_column, kind, reason, needs, content)
                 select {A}, m, 'gym_members', 'x', n::text, 'value', 'no_place', n, '\"turquoise\"'
                   from unnest(array[{a1}, {a2}]::uuid[]) as m, (values ('{}'::text[]), ('{memory,health_memory}')) as r (n)";
    for (purpose, how) in [("memory", MEMORY), ("health_memory", HEALTH)] {
        let mut tx = refusing(&world, purpose, aside).await;
        withdraw(&mut tx, how).await;
        let left = lines(
            &mut tx,
            "select member_id || ' ' || (value #>> '{}') || ' ' || count(*) from jarvis.adoption_remains
              where value #>> '{}' <> '?' group by member_id, value
             union all
             select member_id || ' held ' || count(*) from jarvis.legacy_held where content = '\"turquoise\"' group by member_id
              order by 1",
        )
        .await;
        let left: Vec<&str> = left.iter().map(|l| &l[35..]).collect();
        assert_eq!(
            left,
            ["1 kept 2", "2 held 2", "2 kept 2", "2 turquoise 5"],
            "{purpose}"
        );
    }
}

#[tokio::test]
async fn what_the_staff_was_told_goes_with_the_sharing_and_with_a_restriction() {
    let world = World::new().await;
    let told = "insert into public.manager_alerts (gym_id, member_id, alert_type, title, dedup_key, status)
                select f.gym_id, f.member_id, 'health_concern', 'À vérifier', 'fact_ending:' || f.id, 'pending'
                  from public.member_facts f where f.category = 'injury';
                update jarvis.fact_endings set alerted_at = now()";
    let open = "select count(*) from public.manager_alerts where dedup_key like 'fact_ending:%' and member_id in ({a1}, {a2})";
    let noted = "select count(alerted_at) from jarvis.fact_endings where member_id in ({a1}, {a2})";
    for end in [
        "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source) values ({A}, {a1}, 'share_with_staff', false, 'kiosk')",
        "insert into jarvis.restrictions (gym_id, member_id) values ({A}, {a1})",
        "update public.gym_members_v2 set date_of_birth = current_date - interval '13 years' where id = {a1}",
    ] {
        let mut tx = world.admin().await;
        run(&mut tx, told).await;
        assert_eq!(one::<i64>(&mut tx, open).await, 2);
        become_(&mut tx, SERVER_A).await;
        run(&mut tx, end).await;
        run(&mut tx, "reset role").await;
        assert_eq!(one::<i64>(&mut tx, open).await, 1, "{end}: nobody else's");
        assert_eq!(
            one::<i64>(&mut tx, noted).await,
            1,
            "the gym is told again when it may be"
        );
        let others: i64 = one(
            &mut tx,
            "select count(*) from public.manager_alerts where member_id = {a1}",
        )
        .await;
        assert_eq!(others, 1, "an absence was not derived from it");
    }
}

#[tokio::test]
async fn words_can_be_taken_out_of_what_is_restricted_and_none_put_in() {
    let world = World::new().await;
    for persona in [SERVER_A, MANAGER_A, SERVICE] {
        let mut tx = world.admin().await;
        run(
            &mut tx,
            "insert into jarvis.restrictions (gym_id, member_id) values ({A}, {a1})",
        )
        .await;
        become_(&mut tx, persona).await;
        run(
            &mut tx,
            "update public.conversation_events set transcript = '[santé] depuis janvier' where member_id = {a1}",
        )
        .await;
        run(&mut tx, "reset role").await;
        let words = "select coalesce(transcript, '-') from public.conversation_events where member_id = {a1}";
        assert_eq!(
            lines(&mut tx, words).await,
            ["[santé] depuis janvier"],
            "{persona:?}"
        );
        become_(&mut tx, persona).await;
        run(
            &mut tx,
            "update public.conversation_events set tool_args = '{\"q\": 1}' where member_id = {a1}",
        )
        .await;
        run(&mut tx, "reset role").await;
        assert_eq!(
            lines(&mut tx, words).await,
            ["-"],
            "what is new is not taken: {persona:?}"
        );
    }
    for (persona, allowed) in [(SERVER_A, true), (MANAGER_A, true), (SERVICE, false)] {
        let mut tx = world.admin().await;
        run(
            &mut tx,
            "insert into jarvis.restrictions (gym_id, member_id) values ({A}, {a1})",
        )
        .await;
        become_(&mut tx, persona).await;
        let reword =
            "update public.conversation_summaries set summary_text = 'Genou.' where member_id = {a1}";
        if allowed {
            assert_eq!(run(&mut tx, reword).await, 1, "{persona:?}");
        } else {
            assert_eq!(refusal_code(&mut tx, reword).await, "JC001", "{persona:?}");
        }
    }
}

#[tokio::test]
async fn a_table_of_many_columns_is_handed_out_whole() {
    let world = World::new().await;
    let columns: Vec<String> = (0..120).map(|n| format!("c{n}")).collect();
    let mut tx = world.admin().await;
    run(&mut tx, "drop schema world cascade").await;
    run(
        &mut tx,
        &format!(
            "create table public.measures (member_id uuid, {});
             insert into public.measures (member_id, c119) values ({{a1}}, 'turquoise');
             grant select on public.measures to jarvis_writer",
            columns
                .iter()
                .map(|c| format!("{c} text"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    )
    .await;
    for column in columns.iter().map(String::as_str).chain(["member_id"]) {
        run(
            &mut tx,
            &on_the_map("public.measures", column, "personal", "null"),
        )
        .await;
    }
    run(
        &mut tx,
        "update jarvis.data_map set in_export = false where column_name = 'c7'",
    )
    .await;
    become_(&mut tx, SERVER_A).await;
    let exported: String = one(&mut tx, EXPORT).await;
    let exported: serde_json::Value = serde_json::from_str(&exported).unwrap();
    let row = exported["public.measures"][0].as_object().unwrap();
    assert_eq!((row.len(), row["c119"].as_str()), (120, Some("turquoise")));
    assert!(!row.contains_key("c7"));
}

#[tokio::test]
async fn what_an_adoption_set_aside_goes_when_its_time_is_over_and_not_by_a_clock_that_is_ahead() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    let left = "select count(*) from jarvis.adoption_remains";
    let all: i64 = one(&mut tx, left).await;
    assert!(all > 2);
    become_(&mut tx, SERVER_A).await;
    assert_eq!(
        refusal_code(&mut tx, "select jarvis.expire_remains(now())").await,
        "42501"
    );
    run(&mut tx, "reset role").await;
    let expire = "select jarvis.expire_remains('2100-01-01')";
    for (age, unasked, gone) in [(364, false, 0), (366, true, 0), (366, false, all - 1)] {
        run(
            &mut tx,
            &format!(
                "update jarvis.adoptions set adopted_at = now() - interval '{age} days';
                 insert into jarvis.restrictions (gym_id, member_id) values ({{A}}, {{a1}}) on conflict do nothing"
            ),
        )
        .await;
        become_(&mut tx, SYSTEM).await;
        let statement = expire.replace(')', &format!(", {unasked})"));
        assert_eq!(one::<i64>(&mut tx, &statement).await, gone, "{age} {unasked}");
        run(&mut tx, "reset role").await;
    }
    assert_eq!(
        one::<i64>(&mut tx, left).await,
        1,
        "of a restricted member it is kept"
    );
}

#[tokio::test]
async fn of_a_conversation_whose_events_are_gone_only_what_tells_of_health_goes() {
    let world = World::new().await;
    for (tells, kept) in [(false, 1), (true, 0)] {
        let made = format!(
            "set local session_replication_role = replica;
             delete from public.conversation_events where member_id = {{a1}};
             update public.conversation_summaries set tells_health = {tells} where member_id = {{a1}};
             update jarvis.memory_windows set tells_health = {tells} where member_id = {{a1}};
             update public.conversation_sessions set state = 'processed', ended_at = now() where member_id = {{a1}};
             set local session_replication_role = origin"
        );
        let mut tx = refusing(&world, "health_memory", &made).await;
        become_(&mut tx, SERVER_A).await;
        let again: i32 = one(
            &mut tx,
            "select cardinality(jarvis.withdraw_health({A}, {a1}, '{}', '{}', '{}', '{}', '{}', '{session-a1}'))",
        )
        .await;
        run(&mut tx, "reset role").await;
        assert_eq!(again, 0, "there is nothing to make it of");
        for table in ["public.conversation_summaries", "jarvis.memory_windows"] {
            let count = format!("select count(*) from {table} where member_id = {{a1}}");
            assert_eq!(one::<i64>(&mut tx, &count).await, kept, "{table} {tells}");
        }
    }
}
