//! Every policy matters: taking any one away, or opening it, is noticed.

use crate::world::{World, lines};
use sqlx::{AssertSqlSafe, PgConnection};

async fn change(connection: &mut PgConnection, statement: String) {
    sqlx::query(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .unwrap();
}

async fn findings(connection: &mut PgConnection) -> Vec<String> {
    lines(connection, "select finding from world.findings() order by 1").await
}

/// Schema and table, and the policy's name.
async fn policies(world: &World) -> Vec<(String, String)> {
    let mut tx = world.admin().await;
    let all: Vec<(String, String)> = sqlx::query_as(
        "select format('%s.%s', schemaname, tablename), policyname::text
           from pg_policies where schemaname in ('public', 'jarvis', 'auth') order by 1, 2",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    all
}

async fn tables(world: &World) -> Vec<String> {
    let mut tx = world.admin().await;
    let tables = lines(&mut tx, "select tab from world.probes order by ord").await;
    assert!(tables.len() >= 24);
    tables
}

#[tokio::test]
async fn the_catalogue_shows_nothing_that_it_must_not_show() {
    let world = World::with_matrix().await;
    assert_eq!(findings(&mut *world.admin().await).await, Vec::<String>::new());
}

#[tokio::test]
async fn there_are_36_policies_for_people_and_9_for_the_server_on_the_nine_tables() {
    let world = World::with_matrix().await;
    let mut tx = world.admin().await;
    let counted = lines(
        &mut tx,
        "select format('%s %s %s', roles[1], cmd, count(*)) from pg_policies
          where schemaname = 'public' and tablename in
            ('gym_members_v2', 'member_fitness_profile', 'member_preferences', 'member_facts',
             'conversation_summaries', 'conversation_events', 'member_analytics', 'manager_alerts', 'insights_reports')
          group by roles[1], cmd order by 1",
    )
    .await;
    assert_eq!(
        counted,
        [
            "authenticated DELETE 9",
            "authenticated INSERT 9",
            "authenticated SELECT 9",
            "authenticated UPDATE 9",
            "jarvis_server ALL 9"
        ]
    );
}

#[tokio::test]
async fn dropping_any_policy_changes_who_may_do_what() {
    let world = World::with_matrix().await;
    let mut tx = world.admin().await;
    let mut unnoticed = Vec::new();
    for (table, policy) in policies(&world).await {
        let question = format!("select line from world.matrix('{table}')");
        let before = lines(&mut tx, &question).await;
        change(&mut tx, "savepoint mutation".into()).await;
        change(&mut tx, format!("drop policy {policy} on {table}")).await;
        if lines(&mut tx, &question).await == before {
            unnoticed.push(format!("{policy} on {table}"));
        }
        change(&mut tx, "rollback to savepoint mutation".into()).await;
    }
    assert_eq!(unnoticed, Vec::<String>::new());
}

#[tokio::test]
async fn opening_any_policy_to_everybody_is_found() {
    let world = World::with_matrix().await;
    let mut tx = world.admin().await;
    for (table, policy) in policies(&world).await {
        change(&mut tx, "savepoint mutation".into()).await;
        change(&mut tx, format!("alter policy {policy} on {table} to public")).await;
        let found = findings(&mut tx).await;
        assert!(
            found.contains(&format!("policy for everybody: {policy} on {table}")),
            "{found:?}"
        );
        change(&mut tx, "rollback to savepoint mutation".into()).await;
    }
}

#[tokio::test]
async fn a_policy_that_lets_every_row_through_changes_who_may_do_what() {
    let world = World::with_matrix().await;
    let mut tx = world.admin().await;
    let mut unnoticed = Vec::new();
    let narrowed: Vec<(String, String, bool, bool)> = sqlx::query_as(
        "select format('%s.%s', schemaname, tablename), policyname::text, qual is not null, with_check is not null
           from pg_policies
          where schemaname in ('public', 'jarvis', 'auth') and coalesce(qual, with_check) <> 'true'",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    assert!(narrowed.len() >= 45);
    for (table, policy, filters, checks) in narrowed {
        let question = format!("select line from world.matrix('{table}')");
        let before = lines(&mut tx, &question).await;
        change(&mut tx, "savepoint mutation".into()).await;
        let using = if filters { "using (true)" } else { "" };
        let check = if checks { "with check (true)" } else { "" };
        change(
            &mut tx,
            format!("alter policy {policy} on {table} {using} {check}"),
        )
        .await;
        if lines(&mut tx, &question).await == before {
            unnoticed.push(format!("{policy} on {table}"));
        }
        change(&mut tx, "rollback to savepoint mutation".into()).await;
    }
    assert_eq!(unnoticed, Vec::<String>::new());
}

#[tokio::test]
async fn a_table_whose_row_security_is_off_or_not_forced_is_found() {
    let world = World::with_matrix().await;
    let mut tx = world.admin().await;
    for table in tables(&world).await {
        for (how, finding) in [
            ("no force", "row level security is not forced"),
            ("disable", "row level security is off"),
        ] {
            change(&mut tx, "savepoint mutation".into()).await;
            change(&mut tx, format!("alter table {table} {how} row level security")).await;
            assert_eq!(findings(&mut tx).await, [format!("{finding}: {table}")]);
            change(&mut tx, "rollback to savepoint mutation".into()).await;
        }
    }
}

#[tokio::test]
async fn careless_changes_of_the_schema_are_found() {
    let world = World::with_matrix().await;
    let mut tx = world.admin().await;
    for (statement, finding) in [
        (
            "grant select on public.gym_members_v2 to anon",
            "anybody may use it: public.gym_members_v2",
        ),
        (
            "grant execute on function jarvis.claims() to public",
            "anybody may call it: jarvis.claims()",
        ),
        (
            "alter function jarvis.guard_fact() reset all",
            "definer without a pinned path, or of the wrong owner: jarvis.guard_fact()",
        ),
        (
            "alter function jarvis.my_gyms(text[]) owner to current_user",
            "definer without a pinned path, or of the wrong owner: jarvis.my_gyms(text[])",
        ),
        (
            "create policy recursive on public.users for select to authenticated
               using (exists (select from public.users u where u.id = jarvis.uid()))",
            "the policy reads its own table: recursive on public.users",
        ),
        (
            "alter table public.member_facts add constraint plain foreign key (member_id)
               references public.gym_members_v2 (id)",
            "foreign key between tenants' tables without gym_id: plain on public.member_facts",
        ),
        (
            "alter table public.gyms owner to jarvis_system",
            "owned by a role that serves requests: public.gyms",
        ),
    ] {
        change(&mut tx, "savepoint mutation".into()).await;
        change(&mut tx, statement.into()).await;
        let found = findings(&mut tx).await;
        assert!(found.iter().any(|line| line == finding), "{statement}: {found:?}");
        change(&mut tx, "rollback to savepoint mutation".into()).await;
    }
}
