//! What the rows become.

use super::{IDENTITIES, PREDECESSOR, adopted, count, guide, lines, run, stating, try_adopting};
use jarvis_core::Purpose;
use jarvis_db::migrations::adopt::{AdoptionSettings, Severity, Verdict};
use jarvis_db::migrations::{self, MigrationError, Source};
use jarvis_testkit::TestDb;
use secrecy::SecretString;

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
    let placed = lines(
        test.url(),
        "select format('%s %s', slot, expires_at > now()) from public.member_facts where fact_key in ('marathon', 'musique') order by fact_key",
    )
    .await;
    assert_eq!(placed, ["goal.run.marathon t", "preference.music t"]);
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
