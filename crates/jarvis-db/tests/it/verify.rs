//! Whether a database is what its history says: found out, told, mended.

use crate::migrations::{ask, ours, platform, run};
use chrono::{DateTime, Utc};
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::migrations::{self, Catalogue, Finding, Mark, MigrationError, Verification};
use jarvis_testkit::{Cluster, TestDb};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{Connection as _, PgConnection};

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

async fn verify(url: &SecretString) -> Verification {
    migrations::verify(url, ours(), None, now()).await.unwrap()
}

/// What the findings are about, with their codes.
fn told(found: &Verification) -> Vec<String> {
    let tell = |f: &Finding| format!("{} {}", f.code, f.subject);
    found.findings.iter().map(tell).collect()
}

#[tokio::test]
async fn a_database_as_migrated_has_no_finding_and_nothing_is_left_of_the_comparison() {
    let test = TestDb::new().await;
    let found = verify(test.url()).await;
    assert_eq!(told(&found), [""; 0]);
    assert_eq!(found.migrations, ours().migrations().len());
    assert!(found.objects > 1000 && found.extras.is_empty(), "{found:?}");
    let empty = TestDb::empty().await;
    assert_eq!(
        told(&verify(empty.url()).await),
        [""; 0],
        "nothing applied, nothing expected"
    );
}

/// One damage, and the code and subject under which it is told.
type Damage = (&'static str, &'static str);

/// The ways in which a schema comes apart that must be noticed; in three rounds, since some undo one another.
const DAMAGES: [&[Damage]; 3] = [
    &[
        (
            "drop policy people_select on public.gym_members_v2",
            "missing policy people_select on public.gym_members_v2",
        ),
        (
            "create policy open_door on public.gyms using (true)",
            "unexpected policy open_door on public.gyms",
        ),
        (
            "alter table public.member_facts no force row level security",
            "changed row level security of public.member_facts",
        ),
        (
            "drop trigger z90_touch on public.gyms",
            "missing trigger z90_touch on public.gyms",
        ),
        (
            "grant select on jarvis.consent_ledger to authenticated",
            "changed rights of jarvis.consent_ledger",
        ),
        (
            "create or replace function auth.uid() returns uuid language sql stable as 'select null::uuid'",
            "changed function auth.uid()",
        ),
        (
            "alter table public.gyms alter column timezone set default 'UTC', alter column timezone drop not null",
            "changed column public.gyms.timezone",
        ),
        (
            "drop index jarvis.member_fact_history_member",
            "missing index jarvis.member_fact_history_member",
        ),
    ],
    &[
        (
            "alter policy people_select on public.gym_members_v2 using (true)",
            "changed policy people_select on public.gym_members_v2",
        ),
        (
            "alter table public.member_facts disable row level security",
            "changed row level security of public.member_facts",
        ),
        (
            "alter table public.gyms disable trigger z90_touch",
            "changed trigger z90_touch on public.gyms",
        ),
        (
            "grant select on public.gyms to anon with grant option",
            "changed rights of public.gyms",
        ),
        (
            "grant execute on function jarvis.current_gym() to public",
            "changed function jarvis.current_gym()",
        ),
        (
            "alter table public.member_facts drop constraint member_facts_member_id_category_fact_key_key",
            "missing constraint member_facts_member_id_category_fact_key_key on public.member_facts",
        ),
        (
            "comment on column public.gyms.name is 'l''autre'",
            "changed comment of public.gyms.name",
        ),
    ],
    &[
        (
            "alter policy people_select on public.gym_members_v2 to public",
            "changed policy people_select on public.gym_members_v2",
        ),
        (
            "revoke select on public.gym_members_v2 from jarvis_server",
            "changed rights of public.gym_members_v2",
        ),
        (
            "grant select (embedding) on public.conversation_summaries to anon",
            "unexpected rights on column public.conversation_summaries.embedding",
        ),
        (
            "alter table public.gyms drop column locale cascade",
            "missing column public.gyms.locale",
        ),
    ],
];

#[tokio::test]
async fn every_damage_is_told_and_its_mend_mends_it() {
    let test = TestDb::new().await;
    for round in DAMAGES {
        for (damage, _) in round {
            run(test.url(), *damage).await;
        }
        let found = verify(test.url()).await;
        let mut subjects: Vec<&str> = round.iter().map(|(_, subject)| *subject).collect();
        let mut told_subjects = told(&found);
        subjects.sort_unstable();
        told_subjects.sort_unstable();
        // What hangs on a dropped column goes with it, and is told too.
        told_subjects.retain(|subject| !subject.contains("locale") || subject.contains("missing column"));
        assert_eq!(told_subjects, subjects, "{:?}", found.findings);
        for finding in &found.findings {
            run(test.url(), finding.mend.clone()).await;
        }
        let left = verify(test.url()).await;
        assert_eq!(told(&left), [""; 0], "after the mends {:?}", found.findings);
    }
}

#[tokio::test]
async fn what_somebody_added_is_listed_and_is_no_finding() {
    let test = TestDb::new().await;
    run(
        test.url(),
        "create schema lockers; create table lockers.rows (id int); create table public.lockers (id int);
         alter table public.gyms add column franchise_id text; grant select (franchise_id) on public.gyms to anon;
         create function public.mine() returns int language sql as 'select 1';
         create view public.names as select name from public.gyms",
    )
    .await;
    let found = verify(test.url()).await;
    assert_eq!(told(&found), [""; 0]);
    for extra in [
        "table public.lockers",
        "column public.gyms.franchise_id",
        "function public.mine()",
        "view public.names",
    ] {
        assert!(
            found.extras.contains(&extra.to_owned()),
            "{extra}: {:?}",
            found.extras
        );
    }
}

#[tokio::test]
async fn a_record_that_is_not_the_file_is_told_and_recorded_anew() {
    let test = TestDb::new().await;
    run(
        test.url(),
        "update supabase_migrations.schema_migrations set statements = array['select 1'] where version = '20251023000003';
         insert into supabase_migrations.schema_migrations values ('20991231235959')",
    )
    .await;
    let found = verify(test.url()).await;
    assert_eq!(
        told(&found),
        [
            "record_differs 20251023000003_create_analytics_tables",
            "record_unknown 20991231235959"
        ]
    );
    assert!(
        found.findings[0]
            .mend
            .contains("jarvis migration repair 20251023000003 --status applied")
    );
    let repaired = migrations::repair(test.url(), ours(), &["20251023000003".to_owned()], Mark::Applied)
        .await
        .unwrap();
    assert!(repaired[0].was_recorded && repaired[0].changed, "{repaired:?}");
    let again = migrations::repair(test.url(), ours(), &["20251023000003".to_owned()], Mark::Applied)
        .await
        .unwrap();
    assert!(!again[0].changed, "{again:?}");
    assert_eq!(told(&verify(test.url()).await), ["record_unknown 20991231235959"]);
}

#[tokio::test]
async fn a_repair_of_nonsense_names_what_there_is_and_changes_nothing() {
    const COUNT: &str = "select count(*) from supabase_migrations.schema_migrations";
    let test = TestDb::new().await;
    let all: i64 = ask(test.url(), COUNT).await;
    for (versions, mark) in [
        (["20251023000001", "20990101000000"], Mark::Reverted),
        (["20251023000001", "latest"], Mark::Applied),
    ] {
        let versions = versions.map(str::to_owned);
        let error = migrations::repair(test.url(), ours(), &versions, mark)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, MigrationError::NoSuchVersion { version, .. } if *version == versions[1]),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("20261122000002"), "{error:?}");
    }
    assert_eq!(ask::<i64>(test.url(), COUNT).await, all, "all of them or none");
    migrations::repair(test.url(), ours(), &["20261122000002".to_owned()], Mark::Reverted)
        .await
        .unwrap();
    assert_eq!(ask::<i64>(test.url(), COUNT).await, all - 1);
    assert!(
        ask::<bool>(test.url(), "select to_regclass('jarvis.audit_log') is not null").await,
        "nothing is undone"
    );
}

#[tokio::test]
async fn a_half_migrated_database_is_compared_with_what_it_should_have_by_now() {
    let test = TestDb::new().await;
    // Each of the newest downs gives back what its migration took, and no more.
    for undone in 1..=4 {
        migrations::down(test.url(), ours(), 1, false).await.unwrap();
        let found = verify(test.url()).await;
        assert_eq!(told(&found), [""; 0], "{undone} undone");
        assert_eq!(found.migrations, ours().migrations().len() - undone);
    }
}

#[tokio::test]
async fn a_login_that_may_make_no_database_names_an_empty_one() {
    let test = TestDb::new().await;
    let role = format!("owner_{}", test.name());
    run(
        test.url(),
        format!("create role {role} login password 'o' bypassrls; grant pg_read_all_data to {role}"),
    )
    .await;
    let url = test.url_of(&role, "o");
    let error = migrations::verify(&url, ours(), None, now()).await.unwrap_err();
    assert!(matches!(error, MigrationError::NoScratch(_)), "{error}");
    assert!(error.hint().unwrap().contains("--scratch-url"));
    let scratch = TestDb::empty().await;
    let found = migrations::verify(&url, ours(), Some(scratch.url()), now())
        .await
        .unwrap();
    assert_eq!(told(&found), [""; 0]);
    let mut connection = PgConnection::connect(scratch.url().expose_secret())
        .await
        .unwrap();
    let left = Catalogue::read(&mut connection).await.unwrap();
    assert!(
        !left.objects().any(|(object, _)| object.kind == "table"),
        "the comparison is rolled back"
    );
    connection.close().await.unwrap();
    let error = migrations::verify(&url, ours(), Some(test.url()), now())
        .await
        .unwrap_err();
    assert!(matches!(error, MigrationError::BadSource(_)), "{error}");
    run(test.url(), format!("drop owned by {role}; drop role {role}")).await;
}

#[tokio::test]
async fn on_a_platform_with_a_schema_auth_of_its_own_ours_is_compared_and_theirs_left_out() {
    let cluster = Cluster::start_empty().await.unwrap();
    let url = platform(&cluster).await;
    migrations::up(&url, ours()).await.unwrap();
    // There, an extension that anybody may install needs an administrator here.
    let error = migrations::verify(&url, ours(), None, now()).await.unwrap_err();
    assert!(matches!(error, MigrationError::NoScratch(_)), "{error}");
    let admin: SecretString = url.expose_secret().replace("postgres:p@", "stepladder:s@").into();
    run(&admin, "create database scratch").await;
    let scratch: SecretString = admin.expose_secret().replace("/project", "/scratch").into();
    let verify = async || {
        migrations::verify(&url, ours(), Some(&scratch), now())
            .await
            .unwrap()
    };
    assert_eq!(told(&verify().await), [""; 0]);
    run(&url, "grant select on jarvis.consent_ledger to authenticated").await;
    assert_eq!(told(&verify().await), ["changed rights of jarvis.consent_ledger"]);
    let left = "select count(*) from pg_database where datname like 'jarvis_verify%'";
    assert_eq!(ask::<i64>(&url, left).await, 0);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_killed_comparison_left_is_dropped_by_the_next_one_after_an_hour() {
    let cluster = Cluster::start_empty().await.unwrap();
    migrations::up(cluster.url(), ours()).await.unwrap();
    let left = |hours: i64| {
        let then = (now() - chrono::TimeDelta::hours(hours)).timestamp_millis();
        format!("jarvis_verify_{then:012x}{:020}", 0)
    };
    let (old, young) = (left(2), left(0));
    for name in [&old, &young] {
        run(cluster.url(), format!("create database {name}")).await;
    }
    assert_eq!(told(&verify(cluster.url()).await), [""; 0]);
    let names: Vec<String> = ask(
        cluster.url(),
        "select array_agg(datname::text) from pg_database where datname like 'jarvis_verify%'",
    )
    .await;
    assert_eq!(names, [young]);
    cluster.stop().await.unwrap();
}
