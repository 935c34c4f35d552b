//! The holes of the guide's own policies.

use super::{codes, lint_of, run};
use jarvis_testkit::TestDb;

const GUIDE: &str = include_str!("../../fixtures/lint_guide.sql");

#[tokio::test]
async fn every_hole_of_the_guides_own_policies_is_found() {
    let db = TestDb::empty().await;
    run(&db, GUIDE).await;
    let report = lint_of(&db).await;
    let mut lines: Vec<String> = report
        .findings
        .iter()
        .map(|f| {
            format!(
                "{} {}{}",
                f.code,
                f.object,
                f.part.as_ref().map(|p| format!(" ({p})")).unwrap_or_default()
            )
        })
        .collect();
    lines.sort();
    insta::assert_snapshot!("guide", lines.join("\n"));
    let found = codes(&report.findings);
    for code in [
        // `service_role (auth.uid() IS NULL)`, which every anonymous visitor is.
        "policy_without_identity",
        "anon_can_read",
        "anon_can_insert",
        "anon_can_update",
        "anon_can_delete",
        // gyms and users, which the guide leaves without row level security.
        "rls_off",
        "stranger_can_read",
        "stranger_can_update",
        "rls_not_forced",
        "policy_to_public",
        "update_without_check",
        // badge_id UNIQUE over all gyms; member_facts and profiles without gym_id; plain member keys.
        "unique_without_tenant",
        "tenant_column_missing",
        "foreign_key_without_tenant",
        // The recall function and the embeddings.
        "definer_without_search_path",
        "definer_callable_by_anybody",
        "vector_readable",
        "extension_in_exposed_schema",
        "default_privileges_leak",
        "truncate_granted",
    ] {
        assert!(found.contains(code), "{code} is not in {found:?}");
    }
}

#[tokio::test]
async fn adoption_closes_the_holes_of_the_guide_and_leaves_the_operators_own() {
    let db = crate::adoption::guide().await;
    let before = codes(&lint_of(&db).await.findings);
    for code in [
        "policy_without_identity",
        "policy_to_public",
        "unique_without_tenant",
        "tenant_column_missing",
        "foreign_key_without_tenant",
        "rls_not_forced",
    ] {
        assert!(before.contains(code), "{code} is not in {before:?}");
    }
    crate::adoption::adopted(
        db.url(),
        &jarvis_db::migrations::adopt::AdoptionSettings::default(),
    )
    .await;
    let after = lint_of(&db).await.findings;
    let own = [
        "franchises",
        "locker",
        "active_members",
        "members_of",
        "count_members",
        "member_audit",
        "audit_member",
    ];
    let of_ours: Vec<_> = after
        .iter()
        .filter(|f| !own.iter().any(|word| f.object.contains(word)))
        .map(|f| (f.code, f.object.as_str(), f.what.as_deref().unwrap_or_default()))
        .collect();
    // The guide's project put pgvector into public; moving it is the operator's to decide.
    assert_eq!(of_ours, [("extension_in_exposed_schema", "public", "")]);
    let left = codes(&after);
    assert!(
        !left.contains("view_without_security_invoker"),
        "adoption makes views again: {left:?}"
    );
    for code in ["definer_callable_by_anybody", "rls_off"] {
        assert!(left.contains(code), "{code} is not in {left:?}");
    }
}

#[tokio::test]
async fn the_fixture_of_the_guide_says_what_the_guide_says() {
    let guide = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/source/jarvis-database-guide.md"
    );
    let Ok(guide) = std::fs::read_to_string(guide) else {
        println!("skipped: the guide is not beside this repository");
        return;
    };
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let fixture = words(GUIDE);
    let blocks = guide
        .split("```sql\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let statements: Vec<String> = blocks
        .flat_map(|block| block.split_inclusive(";\n"))
        .map(|statement| words(statement.split_once("CREATE").map_or("", |(_, rest)| rest)))
        // "RETURNS TABLE (...)" is not SQL.
        .filter(|statement| !statement.is_empty() && !statement.contains("(...)"))
        .collect();
    assert!(statements.len() >= 5, "{statements:#?}");
    for statement in statements {
        assert!(fixture.contains(&statement), "{statement}");
    }
}
