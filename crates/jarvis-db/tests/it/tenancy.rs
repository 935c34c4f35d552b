//! An id of another gym is no way in: not through a key, not through a function, not by moving a row.

use crate::world::{
    ANONYMOUS, INACTIVE_A, MANAGER_A, MANAGER_AB, NO_CLAIMS, SERVER_A, SERVER_NOWHERE, SERVICE, STAFF_A,
    SYSTEM, World, lines, one, refusal_code, refused, run,
};

const NINE: [&str; 9] = [
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

#[tokio::test]
async fn both_gyms_may_have_the_same_badge_and_each_finds_its_own_member() {
    let world = World::new().await;
    for (persona, badge, member) in [(SERVER_A, "BADGE_001", "{a1}"), (SERVER_A, " badge_001 ", "{a1}")] {
        let mut tx = world.act_as(persona).await;
        run(&mut tx, &format!("select public.log_member_visit('{badge}')")).await;
        let visits: i32 = one(
            &mut tx,
            &format!("select total_visits from gym_members_v2 where id = {member}"),
        )
        .await;
        assert_eq!(visits, 2);
    }
    let mut tx = world.admin().await;
    let visits: i32 = one(&mut tx, "select total_visits from gym_members_v2 where id = {b1}").await;
    assert_eq!(visits, 1, "the neighbour with the same badge was not touched");
}

#[tokio::test]
async fn unknown_inactive_and_foreign_badges_give_the_same_answer() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    run(
        &mut tx,
        "update public.gym_members_v2 set is_active = false where id = {a2}",
    )
    .await;
    let unknown = refused(&mut tx, "select public.log_member_visit('BADGE_777')").await;
    let inactive = refused(&mut tx, "select public.log_member_visit('BADGE_002')").await;
    let foreign = refused(&mut tx, "select public.log_member_visit('BADGE_003', {B})").await;
    assert_eq!(
        (unknown.code.as_str(), unknown.message.as_str()),
        ("JB001", "badge_unknown")
    );
    assert_eq!(unknown, inactive);
    assert_eq!(unknown, foreign);
}

#[tokio::test]
async fn a_badge_is_unique_in_its_gym_whatever_its_case_and_spaces() {
    let world = World::new().await;
    let mut tx = world.act_as(MANAGER_A).await;
    let code = refusal_code(
        &mut tx,
        "insert into public.gym_members_v2 (gym_id, badge_id, first_name, last_name)
         values ({A}, '  Badge_001', 'Noa', 'Petit')",
    )
    .await;
    assert_eq!(code, "23505");
}

#[tokio::test]
async fn a_foreign_members_id_is_refused_by_every_table_that_takes_one() {
    let world = World::new().await;
    for persona in [MANAGER_A, SERVER_A] {
        let mut tx = world.act_as(persona).await;
        for insert in [
            "member_fitness_profile (gym_id, member_id) values ({A}, {b9})",
            "member_preferences (gym_id, member_id) values ({A}, {b9})",
            "member_visits (gym_id, member_id) values ({A}, {b9})",
            "member_analytics (gym_id, member_id) values ({A}, {b9})",
            "manager_alerts (gym_id, member_id, alert_type, title) values ({A}, {b9}, 'inactivity', 'x')",
            "conversation_sessions (gym_id, member_id, session_id) values ({A}, {b9}, 'x')",
            "conversation_events (gym_id, member_id, session_id, event_type) values ({A}, {b9}, 'x', 'error')",
        ] {
            assert_eq!(
                refusal_code(&mut tx, &format!("insert into public.{insert}")).await,
                "23503",
                "{insert}"
            );
        }
        // Memory asks for consent first, and a foreign member has given none to this gym, whatever they gave to theirs.
        for insert in [
            "member_facts (gym_id, member_id, category, fact_key, fact_value) values ({A}, {b9}, 'goal', 'k', '{}')",
            "conversation_summaries (gym_id, member_id, session_id, summary_text) values ({A}, {b9}, 'x', 'x')",
        ] {
            assert_eq!(
                refusal_code(&mut tx, &format!("insert into public.{insert}")).await,
                "JC001",
                "{insert}"
            );
        }
        // Without a gym the row takes its member's, which the caller does not see.
        for insert in [
            "member_visits (member_id, gym_id) values ({b9}, null)",
            "member_facts (member_id, gym_id, category, fact_key, fact_value) values ({b9}, null, 'goal', 'k', '{}')",
            "conversation_summaries (member_id, gym_id, session_id, summary_text) values ({b9}, null, 'x', 'x')",
            "conversation_events (member_id, gym_id, session_id, event_type) values ({b9}, null, 'x', 'error')",
        ] {
            assert_eq!(
                refusal_code(&mut tx, &format!("insert into public.{insert}")).await,
                "42501",
                "{insert}"
            );
        }
    }
}

#[tokio::test]
async fn a_foreign_session_or_kiosk_is_refused() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    for (insert, code) in [
        (
            "conversation_sessions (member_id, kiosk_id, session_id) values ({a1}, 'bbbbbbbb-0000-7000-8000-000000000101', 'x')",
            "23503",
        ),
        (
            "conversation_events (session_id, event_type, member_id) values ('session-b1', 'error', {a1})",
            "23503",
        ),
        (
            "conversation_events (session_id, event_type) values ('session-b1', 'error')",
            "JS001",
        ),
        (
            "conversation_summaries (session_id, member_id, summary_text) values ('session-b1', {a1}, 'x')",
            "JS002",
        ),
        (
            "conversation_sessions (session_id, member_id) values ('session-b1', {a1})",
            "23505",
        ),
    ] {
        assert_eq!(
            refusal_code(&mut tx, &format!("insert into public.{insert}")).await,
            code,
            "{insert}"
        );
    }
}

#[tokio::test]
async fn no_row_can_be_moved_to_another_gym() {
    let world = World::new().await;
    for table in NINE {
        for (persona, codes) in [
            // The policy's check, the key to the member, or the key of a session.
            (MANAGER_A, ["42501", "42501", "42501"]),
            (SERVER_A, ["42501", "42501", "42501"]),
        ] {
            let mut tx = world.act_as(persona).await;
            let code = refusal_code(&mut tx, &format!("update public.{table} set gym_id = {{B}}")).await;
            assert!(codes.contains(&code.as_str()), "{table}: {code}");
        }
        // Somebody of both gyms passes the policies; then the composite keys hold what belongs to a member.
        if table != "insights_reports" {
            let mut tx = world.act_as(MANAGER_AB).await;
            let code = refusal_code(
                &mut tx,
                &format!("update public.{table} set gym_id = {{B}} where gym_id = {{A}}"),
            )
            .await;
            assert!(
                ["23503", "23505", "JC001", "JS002"].contains(&code.as_str()),
                "{table}: {code}"
            );
        }
    }
}

#[tokio::test]
async fn functions_answer_about_a_foreign_member_as_about_nobody() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    let embedding: String = one(
        &mut tx,
        "select embedding::text from public.conversation_summaries where member_id = {b1}",
    )
    .await;
    for persona in [
        MANAGER_A,
        STAFF_A,
        SERVER_A,
        SERVER_NOWHERE,
        INACTIVE_A,
        NO_CLAIMS,
    ] {
        let mut tx = world.act_as(persona).await;
        for count in [
            "select count(*) from jarvis.recall_text({B}, {b1}, 'genou')".to_owned(),
            "select count(*) from jarvis.recall_text({A}, {b1}, 'genou')".to_owned(),
            "select count(*) from public.member_cautions({b1})".to_owned(),
            format!(
                "select count(*) from public.match_conversation_summaries('{embedding}', {{b1}}, 0, 100)"
            ),
            "select count(*) where jarvis.has_consent({B}, {b1}, 'memory')".to_owned(),
            "select count(*) where jarvis.has_consent({A}, {b1}, 'memory')".to_owned(),
        ] {
            assert_eq!(one::<i64>(&mut tx, &count).await, 0, "{persona:?}: {count}");
        }
    }
    // The same questions about one's own member have answers: the zeros above are not a broken function.
    for persona in [MANAGER_A, SERVER_A, SERVICE] {
        let mut tx = world.act_as(persona).await;
        for count in [
            "select count(*) from jarvis.recall_text({A}, {a1}, 'genou')".to_owned(),
            "select count(*) from public.member_cautions({a1})".to_owned(),
            format!(
                "select count(*) from public.match_conversation_summaries('{embedding}', {{a1}}, 0, 100)"
            ),
            "select count(*) where jarvis.has_consent({A}, {a1}, 'memory')".to_owned(),
        ] {
            assert_eq!(one::<i64>(&mut tx, &count).await, 1, "{persona:?}: {count}");
        }
    }
}

#[tokio::test]
async fn a_foreign_fact_cannot_be_forgotten() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    let fact: String = one(
        &mut tx,
        "select id::text from public.member_facts where member_id = {b1} limit 1",
    )
    .await;
    let mut tx = world.act_as(SERVER_A).await;
    for gym in ["{A}", "{B}"] {
        assert!(!one::<bool>(&mut tx, &format!("select jarvis.forget_fact({gym}, '{fact}')")).await);
    }
}

#[tokio::test]
async fn anonymous_callers_may_not_even_call_a_function() {
    let world = World::new().await;
    let mut tx = world.act_as(ANONYMOUS).await;
    for call in [
        "public.log_member_visit('BADGE_001', {A})",
        "public.member_cautions({a1})",
        "public.match_conversation_summaries(null, {a1})",
        "jarvis.has_consent({A}, {a1}, 'memory')",
        "jarvis.my_gyms()",
    ] {
        assert_eq!(
            refusal_code(&mut tx, &format!("select {call}")).await,
            "42501",
            "{call}"
        );
    }
}

#[tokio::test]
async fn reading_users_does_not_recurse_and_shows_only_colleagues() {
    let world = World::new().await;
    let mut tx = world.act_as(STAFF_A).await;
    assert_eq!(
        lines(&mut tx, "select email from public.users").await,
        ["staff-a@exemple.fr"]
    );
    let mut tx = world.act_as(MANAGER_A).await;
    assert_eq!(
        lines(&mut tx, "select email from public.users order by email").await,
        [
            "inactive-a@exemple.fr",
            "manager-a@exemple.fr",
            "manager-ab@exemple.fr",
            "staff-a@exemple.fr"
        ]
    );
}

#[tokio::test]
async fn nobody_but_a_super_admin_gives_rights() {
    let world = World::new().await;
    for persona in [STAFF_A, MANAGER_A] {
        let mut tx = world.act_as(persona).await;
        assert_eq!(
            run(
                &mut tx,
                "update public.users set role = 'super_admin', gym_access = array[{B}]::uuid[]"
            )
            .await,
            0
        );
    }
    for persona in [SERVER_A, SYSTEM] {
        let mut tx = world.act_as(persona).await;
        let code = refusal_code(&mut tx, "update public.users set role = 'super_admin'").await;
        assert_eq!(code, "42501");
    }
}

#[tokio::test]
async fn staff_see_no_health_fact_but_the_caution_that_the_member_shares() {
    let world = World::new().await;
    let mut tx = world.act_as(STAFF_A).await;
    assert_eq!(
        lines(&mut tx, "select distinct category from public.member_facts").await,
        ["goal"]
    );
    let shown = lines(
        &mut tx,
        "select row_to_json(c)::text from public.member_cautions({a1}) as c",
    )
    .await;
    assert_eq!(shown.len(), 1);
    assert!(
        shown[0].contains("right_knee") && !shown[0].contains("mal au genou"),
        "{}",
        shown[0]
    );

    let mut tx = world.admin().await;
    run(
        &mut tx,
        "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source)
         values ({A}, {a1}, 'share_with_staff', false, 'kiosk')",
    )
    .await;
    crate::world::become_(&mut tx, STAFF_A).await;
    assert_eq!(
        one::<i64>(&mut tx, "select count(*) from public.member_cautions({a1})").await,
        0
    );
}

#[tokio::test]
async fn a_health_fact_is_hidden_from_staff_whatever_category_it_was_filed_under() {
    let world = World::new().await;
    let mut tx = world.act_as(MANAGER_A).await;
    for (key, value, slot) in [
        ("enceinte", "{}", "null"),
        ("k1", r#"{"kind": "pregnancy"}"#, "null"),
        ("k2", "{}", "'injury.knee.right'"),
        ("k3", r#"{"sensitivity": "health"}"#, "null"),
    ] {
        run(
            &mut tx,
            &format!(
                "insert into public.member_facts (gym_id, member_id, category, fact_key, fact_value, slot)
                 values ({{A}}, {{a9}}, 'concern', '{key}', '{value}', {slot})"
            ),
        )
        .await;
    }
    assert_eq!(
        one::<i64>(
            &mut tx,
            "select count(*) from public.member_facts where member_id = {a9}"
        )
        .await,
        4
    );
    crate::world::become_(&mut tx, STAFF_A).await;
    assert_eq!(
        one::<i64>(
            &mut tx,
            "select count(*) from public.member_facts where member_id = {a9}"
        )
        .await,
        0
    );
}

#[tokio::test]
async fn people_never_read_an_embedding_from_a_summary() {
    let world = World::new().await;
    let mut tx = world.act_as(MANAGER_A).await;
    assert_eq!(
        refusal_code(&mut tx, "select embedding from public.conversation_summaries").await,
        "42501"
    );
    assert_eq!(
        refusal_code(&mut tx, "select * from public.conversation_summaries").await,
        "42501"
    );
    assert_eq!(
        one::<i64>(
            &mut tx,
            "select count(summary_text) from public.conversation_summaries"
        )
        .await,
        2
    );
}
