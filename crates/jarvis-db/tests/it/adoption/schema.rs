//! The schema afterwards: ours, with the operator's own beside.

use super::{IDENTITIES, adopted, build_guide, connect, count, guide, lines, run, stating, try_adopting};
use crate::migrations::{platform, project};
use jarvis_core::Purpose;
use jarvis_db::migrations::adopt::{AdoptionSettings, Verdict};
use jarvis_db::migrations::{self, Catalogue, Source, State};
use jarvis_testkit::{Cluster, TestDb};
use secrecy::SecretString;

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
