//! Taking over a database that others built from the guide.

use crate::migrations::{platform, project};
use jarvis_core::Purpose;
use jarvis_db::migrations::adopt::{Adopted, AdoptionSettings, Badges, Severity, Verdict, adopt};
use jarvis_db::migrations::{self, Catalogue, MigrationError, Source, State};
use jarvis_testkit::{Cluster, TestDb};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::path::Path;

const IDENTITIES: &str = include_str!("../fixtures/guide_identities.sql");
const PREDECESSOR: &str = include_str!("../fixtures/guide_predecessor.sql");
const REST: &str = include_str!("../fixtures/guide_rest.sql");
const ROWS: &str = include_str!("../fixtures/guide_rows.sql");
const EXTRAS: &str = include_str!("../fixtures/guide_extras.sql");

async fn connect(url: &SecretString) -> PgConnection {
    PgConnection::connect(url.expose_secret()).await.unwrap()
}

async fn run(url: &SecretString, sql: impl Into<String>) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

async fn lines(url: &SecretString, sql: &str) -> Vec<String> {
    let mut connection = connect(url).await;
    let lines = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    lines
}

async fn count(url: &SecretString, sql: &str) -> i64 {
    let mut connection = connect(url).await;
    let count = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {sql}")))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    count
}

/// The statements that the guide writes out, from the guide itself where it lies beside the repository. The body of
/// its search function is left out there, so the fixture has one.
fn given() -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/source/jarvis-database-guide.md");
    let Ok(text) = std::fs::read_to_string(guide) else {
        println!("the guide is not at hand: its three tables are taken from the fixture");
        return include_str!("../fixtures/guide_given.sql").to_owned();
    };
    let blocks: Vec<&str> = text
        .split("```sql\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .map(|block| block.split("-- Fonction RAG search").next().unwrap())
        .collect();
    assert_eq!(blocks.len(), 4, "three tables and a policy");
    format!("set search_path = public, extensions;\n{}", blocks.join("\n"))
}

/// The guide's database with its rows, as an operator has it; `PostgreSQL` alone, or what a platform brought.
async fn build_guide(url: &SecretString) {
    let given = given();
    let given = if given.starts_with("set ") {
        given
    } else {
        format!("set search_path = public, extensions;\n{given}")
    };
    for part in [PREDECESSOR, given.as_str(), REST, ROWS, EXTRAS] {
        run(url, part).await;
    }
}

pub async fn guide() -> TestDb {
    let test = TestDb::empty().await;
    run(test.url(), IDENTITIES).await;
    build_guide(test.url()).await;
    test
}

async fn try_adopting(
    url: &SecretString,
    settings: &AdoptionSettings,
    for_good: bool,
) -> Result<Adopted, MigrationError> {
    adopt(url, Source::embedded(), settings, for_good, &|_| {}).await
}

pub async fn adopted(url: &SecretString, settings: &AdoptionSettings) -> Adopted {
    let adopted = try_adopting(url, settings, true).await.unwrap();
    assert_eq!(adopted.verdict, Verdict::Adopted, "{:#?}", adopted.findings);
    adopted
}

fn stating(consents: &[Purpose]) -> AdoptionSettings {
    AdoptionSettings {
        consents: consents.to_vec(),
        ..AdoptionSettings::default()
    }
}

#[tokio::test]
async fn up_refuses_the_guides_database_and_names_the_way() {
    let test = guide().await;
    let error = migrations::up(test.url(), Source::embedded()).await.unwrap_err();
    assert!(matches!(error, MigrationError::ForeignSchema { .. }), "{error}");
    assert!(error.hint().unwrap().contains("jarvis migration adopt"));
}

/// The tables that are taken over.
const TABLES: [&str; 11] = [
    "gyms",
    "users",
    "gym_members_v2",
    "member_fitness_profile",
    "member_preferences",
    "member_facts",
    "conversation_summaries",
    "conversation_events",
    "member_analytics",
    "manager_alerts",
    "insights_reports",
];

async fn cells(url: &SecretString, table: &str) -> Vec<String> {
    let keys = "coalesce(to_jsonb(t) ->> 'id', to_jsonb(t) ->> 'member_id')";
    lines(
        url,
        &format!(
            "select format('%s %s = %s', {keys}, c.key, c.value) from public.{table} t, jsonb_each_text(to_jsonb(t)) as c
              where c.value is not null order by 1"
        ),
    )
    .await
}

#[tokio::test]
async fn every_cell_of_the_guides_database_is_found_again() {
    let test = guide().await;
    let mut before = Vec::new();
    for table in TABLES {
        before.push((table, cells(test.url(), table).await));
    }
    let done = adopted(test.url(), &AdoptionSettings::default()).await;
    assert_eq!(done.tables.len(), 11);
    for account in &done.tables {
        assert_eq!(account.found, account.kept + account.held, "{account:?}");
    }
    let mut checked = 0;
    for (table, cells_before) in before {
        let after = cells(test.url(), table).await;
        let aside = lines(
            test.url(),
            &format!(
                "select format('%s %s = %s', r.row_key, c.key, c.value) from jarvis.adoption_remains r,
                        jsonb_each_text(case when r.column_name is null then r.value
                                             else jsonb_build_object(r.column_name, r.value) end) as c
                  where r.table_name = '{table}'"
            ),
        )
        .await;
        for cell in cells_before {
            // A timestamp without a zone is one in UTC; a number may gain digits.
            let kept =
                after.contains(&cell) || aside.contains(&cell) || after.contains(&format!("{cell}+00:00"));
            assert!(kept, "{table}: {cell} is nowhere");
            checked += 1;
        }
    }
    assert!(checked > 500, "{checked} cells");
}

#[tokio::test]
async fn what_the_rules_refuse_is_settled_and_told() {
    let test = guide().await;
    let done = adopted(test.url(), &AdoptionSettings::default()).await;
    let told = |code: &str, place: &str| {
        done.findings
            .iter()
            .find(|f| f.code == code && f.place == place)
            .unwrap_or_else(|| panic!("{code} of {place} is not told"))
    };
    assert_eq!(
        told("duplicate_session_id", "conversation_summaries.session_id").rows,
        Some(3)
    );
    assert_eq!(told("value_refused", "gym_members_v2.phone").rows, Some(1));
    assert_eq!(told("event_of_nobody", "conversation_events").rows, Some(2));
    assert_eq!(
        told("restricted_without_consent", "member_facts").severity,
        Severity::Note
    );
    told("view_without_security", "public.active_members");
    told("double_encoded", "gym_members_v2.first_name");

    let sessions = lines(
        test.url(),
        "select s.id::text || ' ' || s.session_id from public.conversation_summaries s order by s.id",
    )
    .await;
    assert!(
        sessions[0].ends_with("s-lyon-1#2") && sessions[1].ends_with("s-lyon-1"),
        "{sessions:?}"
    );
    let strange = lines(
        test.url(),
        "select format('%s %s %s', role, is_active, gym_access) from public.users where email = 'franchise@exemple.fr'",
    )
    .await;
    assert_eq!(strange, ["gym_staff f {}"], "an unknown role gains nothing");
    let odd = lines(
        test.url(),
        "select fact_value::text || ' ' || verified || ' ' || confidence from public.member_facts where fact_key in ('marathon', 'musique') order by fact_key",
    )
    .await;
    assert_eq!(
        odd,
        [
            "\"courir un marathon\" false 0.80",
            "[\"rock\", \"jazz\"] false 0.60"
        ]
    );
    let states = lines(
        test.url(),
        "select format('%s %s %s', session_id, state, state_reason) from public.conversation_sessions
          where session_id in ('s-lyon-1', 's-old-words', 's-no-words', 's-now') order by session_id",
    )
    .await;
    assert_eq!(
        states,
        [
            "s-lyon-1 processed ",
            "s-no-words empty no_user_turn",
            "s-now open ",
            "s-old-words empty no_consent"
        ]
    );
    assert_eq!(count(test.url(), "jarvis.consent_ledger").await, 0);
}

#[tokio::test]
async fn a_plan_changes_nothing_and_a_second_adoption_neither() {
    let test = guide().await;
    let catalogue = Catalogue::read(&mut connect(test.url()).await).await.unwrap();
    let plan = try_adopting(test.url(), &AdoptionSettings::default(), false)
        .await
        .unwrap();
    assert_eq!(plan.verdict, Verdict::Planned);
    let after = Catalogue::read(&mut connect(test.url()).await).await.unwrap();
    assert_eq!(after, catalogue, "a plan leaves the database as it was");

    let done = adopted(test.url(), &AdoptionSettings::default()).await;
    assert_eq!(done.tables, plan.tables, "the plan says what happens");
    let catalogue = Catalogue::read(&mut connect(test.url()).await).await.unwrap();
    let again = try_adopting(test.url(), &AdoptionSettings::default(), true)
        .await
        .unwrap();
    assert_eq!(again.verdict, Verdict::AlreadyAdopted);
    assert_eq!(again.tables, done.tables);
    let after = Catalogue::read(&mut connect(test.url()).await).await.unwrap();
    assert_eq!(after, catalogue);

    let status = migrations::status(test.url(), Source::embedded()).await.unwrap();
    assert!(status.iter().all(|e| e.state == State::Applied), "{status:?}");
    assert!(
        migrations::up(test.url(), Source::embedded())
            .await
            .unwrap()
            .is_empty()
    );
}

/// What the operator built: their own tables, views, functions, columns. Everything else must be as in a fresh
/// database.
fn is_their_own(difference: &migrations::Difference) -> bool {
    const THEIRS: [&str; 20] = [
        "franchises",
        "lockers",
        "active_members",
        "locker_owners",
        "members_of",
        "count_members",
        "member_audit",
        "audit_member",
        "update_updated_at_column",
        "user_role",
        "locker_number",
        "embedding_small",
        "tags",
        "franchise_id",
        "city",
        "address",
        "legacy_number",
        "last_login",
        "members_locker",
        "audit_members",
    ];
    difference.expected.is_none() && THEIRS.iter().any(|t| difference.object.to_string().contains(t))
}

async fn differs_from_fresh(adopted: &SecretString, fresh: &SecretString) -> Vec<String> {
    let expected = Catalogue::read(&mut connect(fresh).await).await.unwrap();
    let found = Catalogue::read(&mut connect(adopted).await).await.unwrap();
    assert!(expected.objects().count() > 500);
    expected
        .differences(&found)
        .iter()
        .filter(|d| !is_their_own(d))
        .map(ToString::to_string)
        .collect()
}

#[tokio::test]
async fn an_adopted_database_equals_a_fresh_one_with_the_operators_own_beside() {
    let (test, fresh) = (guide().await, TestDb::empty().await);
    run(fresh.url(), IDENTITIES).await;
    migrations::up(fresh.url(), Source::embedded()).await.unwrap();
    adopted(test.url(), &AdoptionSettings::default()).await;
    assert_eq!(
        differs_from_fresh(test.url(), fresh.url()).await,
        Vec::<String>::new()
    );

    let url = test.url();
    assert_eq!(count(url, "public.locker_owners").await, 12);
    assert_eq!(
        count(url, "public.members_of('a0000000-0000-4000-8000-000000000001')").await,
        8
    );
    assert_eq!(lines(url, "select public.count_members()::text").await, ["12"]);
    assert_eq!(
        lines(
            url,
            "select locker_number::text from public.gym_members_v2 where badge_id = 'BADGE_007'"
        )
        .await,
        ["107"]
    );
    assert_eq!(
        count(url, "pg_publication_tables where pubname = 'realtime'").await,
        2
    );
    assert_eq!(
        lines(
            url,
            "select array_to_string(attnames, ',') || ' ' || rowfilter from pg_publication_tables where pubname = 'first_names'"
        )
        .await,
        ["id,first_name is_active"],
        "a subscriber receives what it received, and no more"
    );
    assert_eq!(
        lines(
            url,
            "select has_column_privilege('authenticated', 'public.conversation_summaries', 'embedding_small', 'select')::text"
        )
        .await,
        ["false"],
        "an embedding can be turned back into text"
    );
    assert_eq!(
        count(url, "pg_namespace where nspname = 'jarvis_adoption'").await,
        0
    );
    run(
        url,
        "insert into public.gyms (name) values ('Salle neuve');
         update public.gym_members_v2 set first_name = 'Aurélie' where badge_id = 'BADGE_005';
         delete from public.gym_members_v2 where badge_id = 'BADGE_008'",
    )
    .await;
    assert_eq!(count(url, "public.member_audit").await, 1, "their trigger fires");
    assert_eq!(
        count(url, "public.lockers").await,
        11,
        "their foreign key cascades"
    );
    let unmapped = lines(
        url,
        "select format('%s.%s', c.relname, a.attname) from pg_attribute a join pg_class c on c.oid = a.attrelid
          where c.relnamespace = 'public'::regnamespace and c.relname = any (array['gyms', 'users', 'gym_members_v2'])
            and a.attnum > 0 and not a.attisdropped
            and not exists (select from jarvis.data_map m where m.schema_name = 'public' and m.table_name = c.relname and m.column_name = a.attname)",
    )
    .await;
    assert_eq!(unmapped, Vec::<String>::new());
}

#[tokio::test]
async fn badges_that_differ_in_case_block_until_the_operator_chooses() {
    let test = guide().await;
    run(
        test.url(),
        "update public.gym_members_v2 set badge_id = ' badge_001 ', is_active = false where badge_id = 'BADGE_002'",
    )
    .await;
    let stopped = try_adopting(test.url(), &AdoptionSettings::default(), true)
        .await
        .unwrap();
    assert_eq!(stopped.verdict, Verdict::Blocked);
    let finding = stopped
        .findings
        .iter()
        .find(|f| f.severity == Severity::Blocking)
        .unwrap();
    assert_eq!(finding.code, "duplicate_badge");
    assert!(finding.settlement.contains("--settle-badges suffix"));
    assert_eq!(
        count(test.url(), "pg_namespace where nspname = 'jarvis'").await,
        0,
        "nothing was changed"
    );

    let settings = AdoptionSettings {
        badges: Badges::Suffix,
        ..AdoptionSettings::default()
    };
    adopted(test.url(), &settings).await;
    let badges = lines(
        test.url(),
        "select badge_id from public.gym_members_v2 where badge_id ilike '%badge_001%' order by 1",
    )
    .await;
    assert_eq!(badges, ["BADGE_001", "badge_001#c0000000"]);
}

#[tokio::test]
async fn consents_are_what_the_operator_states_and_never_override_an_answer() {
    let test = guide().await;
    let url = test.url();
    adopted(url, &AdoptionSettings::default()).await;
    run(
        url,
        "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source)
         select gym_id, id, 'memory', false, 'kiosk' from public.gym_members_v2 where badge_id = 'BADGE_001';
         insert into public.gym_members_v2 (gym_id, badge_id, first_name, last_name, created_at)
         values ('a0000000-0000-4000-8000-000000000001', 'NEW', 'Noa', 'Petit', '2020-01-01')",
    )
    .await;
    let plan = try_adopting(url, &stating(&[Purpose::Memory]), false)
        .await
        .unwrap();
    assert_eq!((plan.verdict, plan.consents), (Verdict::AlreadyAdopted, 10));
    assert_eq!(count(url, "jarvis.consent_ledger").await, 1);
    let done = try_adopting(url, &stating(&[Purpose::Memory]), true)
        .await
        .unwrap();
    assert_eq!(
        done.consents, 10,
        "neither who answered since, nor who came since, nor a child"
    );
    assert_eq!(
        count(
            url,
            "jarvis.consent_ledger l join public.gym_members_v2 m on m.id = l.member_id where m.badge_id = 'BADGE_005'"
        )
        .await,
        0,
        "nobody agreed for the child"
    );
    let held = lines(
        url,
        "select m.badge_id from public.gym_members_v2 m where not jarvis.consent_given(m.gym_id, m.id, 'memory') order by 1",
    )
    .await;
    assert_eq!(
        held,
        ["BADGE_001", "BADGE_005", "NEW"],
        "a child needs a guardian"
    );
    assert_eq!(
        lines(url, "select distinct format('%s %s', source, statement_version) from jarvis.consent_ledger where granted").await,
        ["import imported"]
    );
    assert_eq!(
        lines(
            url,
            "select state from public.conversation_sessions where session_id = 's-old-words'"
        )
        .await,
        ["closing"],
        "words that waited for the consent are processed"
    );
    let again = try_adopting(url, &stating(&[Purpose::Memory]), true)
        .await
        .unwrap();
    assert_eq!(again.consents, 0);
}

#[tokio::test]
async fn the_guides_search_finds_the_old_summaries() {
    let test = guide().await;
    adopted(test.url(), &stating(&[Purpose::Memory, Purpose::HealthMemory])).await;
    let found = lines(
        test.url(),
        "select session_id from public.match_conversation_summaries(
           (select embedding from public.conversation_summaries where id = 'e0000000-0000-4000-8000-000000000001'),
           'c0000000-0000-4000-8000-000000000001', 0.7, 3)",
    )
    .await;
    assert_eq!(
        found,
        ["s-lyon-1#2"],
        "the one that was asked for, by its own vector"
    );
    assert_eq!(count(test.url(), "jarvis.summary_vectors").await, 6);
}

#[tokio::test]
async fn a_view_that_cannot_be_made_again_blocks_and_is_named() {
    let test = guide().await;
    run(
        test.url(),
        "create view public.role_names as select role::public.user_role = 'super_admin'::public.user_role as boss,
                enum_range(role) as others from public.users;
         create materialized view public.frozen as select * from public.gym_members_v2",
    )
    .await;
    let stopped = try_adopting(test.url(), &AdoptionSettings::default(), true)
        .await
        .unwrap();
    assert_eq!(stopped.verdict, Verdict::Blocked);
    assert!(
        stopped
            .findings
            .iter()
            .any(|f| f.code == "materialized_view" && f.place == "public.frozen")
    );
    run(test.url(), "drop materialized view public.frozen").await;
    let stopped = try_adopting(test.url(), &AdoptionSettings::default(), true)
        .await
        .unwrap();
    let finding = stopped
        .findings
        .iter()
        .find(|f| f.severity == Severity::Blocking)
        .unwrap();
    assert_eq!(
        (finding.code.as_str(), finding.place.as_str()),
        ("dependant_not_restored", "view public.role_names")
    );
    assert_eq!(
        count(test.url(), "public.role_names").await,
        3,
        "nothing was changed"
    );
}

#[tokio::test]
async fn gyms_and_people_of_the_predecessor_alone_are_adopted_too() {
    let test = TestDb::empty().await;
    run(test.url(), IDENTITIES).await;
    run(
        test.url(),
        PREDECESSOR.replace("gym_access uuid[]", "gym_access text[]"),
    )
    .await;
    run(
        test.url(),
        "insert into auth.users (id) values ('10000000-0000-4000-8000-000000000002');
         insert into public.gyms (id, name) values ('a0000000-0000-4000-8000-000000000001', 'Salle de Lyon');
         insert into public.users (id, email, role, gym_access) values ('10000000-0000-4000-8000-000000000002', 'lyon@exemple.fr', 'gym_manager', '{a0000000-0000-4000-8000-000000000001}');
         create table public.gym_members (id uuid primary key, gym_id uuid references public.gyms (id), first_name text);
         insert into public.gym_members values ('c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'Alice')",
    )
    .await;
    let error = migrations::up(test.url(), Source::embedded()).await.unwrap_err();
    assert!(
        matches!(&error, MigrationError::ForeignSchema { versions } if versions.is_empty()),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("jarvis migration adopt"));
    let done = adopted(test.url(), &AdoptionSettings::default()).await;
    assert_eq!(done.tables.len(), 2);
    assert!(done.findings.iter().any(|f| f.code == "legacy_table"));
    assert_eq!(
        lines(
            test.url(),
            "select format('%s %s', gym_access[1], is_active) from public.users"
        )
        .await,
        ["a0000000-0000-4000-8000-000000000001 t"]
    );
    assert_eq!(
        count(test.url(), "public.gym_members").await,
        1,
        "left for a step of its own"
    );
}

#[tokio::test]
async fn there_must_be_something_to_adopt() {
    let (empty, ours) = (TestDb::empty().await, TestDb::new().await);
    for test in [&empty, &ours] {
        let error = try_adopting(test.url(), &AdoptionSettings::default(), true)
            .await
            .unwrap_err();
        assert!(matches!(error, MigrationError::NothingToAdopt { .. }), "{error}");
        assert!(error.hint().unwrap().contains("jarvis migration up"));
    }
    let test = guide().await;
    let settings = AdoptionSettings {
        embedding_model: "somebody-elses".to_owned(),
        ..AdoptionSettings::default()
    };
    let error = try_adopting(test.url(), &settings, true).await.unwrap_err();
    assert!(
        error.hint().unwrap().contains("text-embedding-3-small"),
        "{error}"
    );
}

#[tokio::test]
async fn migrations_of_the_operators_own_stay_on_record() {
    let test = guide().await;
    run(
        test.url(),
        "insert into supabase_migrations.schema_migrations (version, name) values ('20251101000000', 'lockers')",
    )
    .await;
    let done = adopted(test.url(), &AdoptionSettings::default()).await;
    let own = done.findings.iter().find(|f| f.code == "own_migration").unwrap();
    assert_eq!(own.place, "20251101000000_lockers");
    let unknown = migrations::status(test.url(), Source::embedded()).await.unwrap();
    assert!(
        unknown
            .iter()
            .any(|e| e.state == State::Unknown && e.name == "lockers")
    );
}

/// On a platform the one who migrates is no superuser, default privileges open every new table, and the extension may
/// sit in another schema.
#[tokio::test]
async fn a_platforms_database_is_adopted_by_a_role_without_superpowers() {
    let cluster = Cluster::start_empty().await.unwrap();
    let url = platform(&cluster).await;
    build_guide(&url).await;
    let fresh = project(&cluster, "other_project").await;
    migrations::up(&fresh, Source::embedded()).await.unwrap();

    adopted(&url, &stating(&[Purpose::Memory])).await;
    assert_eq!(differs_from_fresh(&url, &fresh).await, Vec::<String>::new());
    assert_eq!(count(&url, "public.gym_members_v2").await, 12);
    assert_eq!(count(&url, "jarvis.consent_ledger").await, 11);
    let again = try_adopting(&url, &AdoptionSettings::default(), true)
        .await
        .unwrap();
    assert_eq!(again.verdict, Verdict::AlreadyAdopted);
    cluster.stop().await.unwrap();
}
