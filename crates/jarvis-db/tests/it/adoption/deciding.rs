//! Plans, refusals and what blocks.

use super::{adopted, connect, count, guide, lines, run, try_adopting};
use jarvis_db::migrations::adopt::{AdoptionSettings, Badges, Severity, Verdict};
use jarvis_db::migrations::{self, Catalogue, MigrationError, Source, State};
use jarvis_testkit::TestDb;

#[tokio::test]
async fn up_refuses_the_guides_database_and_names_the_way() {
    let test = guide().await;
    let error = migrations::up(test.url(), Source::embedded()).await.unwrap_err();
    assert!(matches!(error, MigrationError::ForeignSchema { .. }), "{error}");
    assert!(error.hint().unwrap().contains("jarvis migration adopt"));
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
