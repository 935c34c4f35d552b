//! Slots: free keys find their place, what looks alike is proposed for a merge, and nothing merges by itself.

use crate::world::{MANAGER_A, SERVER_A, SERVICE, World, become_, lines, one, run};
use sqlx::PgConnection;

async fn slot(connection: &mut PgConnection, category: &str, key: &str, value: &str) -> String {
    let key = key.replace('\'', "''");
    one(
        connection,
        &format!("select coalesce(jarvis.slot_of('{category}', '{key}', '{value}'), '-')"),
    )
    .await
}

async fn store(connection: &mut PgConnection, category: &str, key: &str, value: &str) {
    let key = key.replace('\'', "''");
    run(
        connection,
        &format!(
            "insert into public.member_facts (member_id, category, fact_key, fact_value)
             values ({{a9}}, '{category}', '{key}', '{value}')"
        ),
    )
    .await;
}

const PROPOSALS: &str =
    "select concat_ws(' ', p.reason, least(a.fact_key, b.fact_key), greatest(a.fact_key, b.fact_key))
       from jarvis.fact_proposals p join public.member_facts a on a.id = p.first_fact
       join public.member_facts b on b.id = p.other_fact where p.member_id = {a9} order by 1";

/// Category, key, value, and the slot they find.
const FREE_KEYS: &[(&str, &str, &str, &str)] = &[
    ("injury", "knee_pain", "{}", "injury.knee"),
    (
        "injury",
        "knee_pain",
        r#"{"location": "right_knee"}"#,
        "injury.knee.right",
    ),
    ("injury", "genou_droit", "{}", "injury.knee.right"),
    (
        "injury",
        "douleur au genou",
        r#"{"side": "right"}"#,
        "injury.knee.right",
    ),
    ("injury", "Douleur au Genou Droit", "{}", "injury.knee.right"),
    (
        "injury",
        "knee_right_pain",
        r#"{"kind": "pain"}"#,
        "injury.knee.right",
    ),
    ("injury", "mal_aux_genoux", "{}", "injury.knee"),
    ("injury", "bas_du_dos", "{}", "injury.lower_back"),
    (
        "injury",
        "knee_pain",
        r#"{"location": "left_shoulder"}"#,
        "injury.knee",
    ),
    (
        "injury",
        "knee_right_surgery",
        r#"{"kind": "surgery"}"#,
        "injury.surgery.knee.right",
    ),
    ("injury", "allergie_aux_arachides", "{}", "injury.allergy.peanuts"),
    (
        "injury",
        "allergy_kiwi",
        r#"{"kind": "allergy", "detail": "kiwi"}"#,
        "injury.allergy.kiwi",
    ),
    (
        "injury",
        "traitement",
        r#"{"detail": "doliprane"}"#,
        "injury.medication.painkiller",
    ),
    ("injury", "enceinte", "{}", "injury.pregnancy"),
    ("injury", "asthme", "{}", "injury.chronic.asthma"),
    ("injury", "injury_tendinitis", "{}", "injury.condition.tendinitis"),
    ("injury", "symptom_dizziness", "{}", "injury.symptom.dizziness"),
    ("injury", "bobo_bizarre", "{}", "-"),
    ("goal", "perte_de_poids", "{}", "goal.lose_weight"),
    ("goal", "weight_loss", r#"{"target": 5}"#, "goal.lose_weight"),
    (
        "goal",
        "run_half_marathon",
        r#"{"kind": "run", "what": "half_marathon"}"#,
        "goal.run.half_marathon",
    ),
    ("goal", "semi_marathon", "{}", "goal.run.half_marathon"),
    ("preference", "horaires", "{}", "preference.training_time"),
    ("preference", "musique", "{}", "preference.music"),
    (
        "progress",
        "recovery_knee_right",
        r#"{"metric": "recovery"}"#,
        "progress.recovery.knee.right",
    ),
    (
        "progress",
        "load_squats",
        r#"{"exercise": "squats"}"#,
        "progress.load.squats",
    ),
    ("concern", "hygiene", "{}", "concern.hygiene"),
    ("concern", "hygiene_showers", "{}", "concern.hygiene.showers"),
    ("concern", "equipment_bike", "{}", "concern.equipment.bike"),
    (
        "concern",
        "machine_broken",
        r#"{"object": "bike"}"#,
        "concern.equipment.bike",
    ),
    ("concern", "staff_coach", "{}", "concern.staff.coach"),
    (
        "concern",
        "staff_or_member_conduct",
        "{}",
        "concern.staff_or_member_conduct",
    ),
    (
        "concern",
        "envie_de_resilier",
        r#"{"subject": "cancel_intent"}"#,
        "concern.cancel_intent",
    ),
    ("concern", "couleur_des_murs", "{}", "-"),
];

#[tokio::test]
async fn free_keys_in_both_languages_find_one_slot() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    for (category, key, value, expected) in FREE_KEYS {
        assert_eq!(
            slot(&mut tx, category, key, value).await,
            *expected,
            "{category} {key} {value}"
        );
    }
}

#[tokio::test]
async fn every_writer_gets_the_slot_and_keeps_its_key() {
    let world = World::new().await;
    for persona in [SERVER_A, SERVICE, MANAGER_A] {
        let mut tx = world.act_as(persona).await;
        store(&mut tx, "injury", "Genou droit", "{}").await;
        let stored =
            "select concat_ws(' / ', fact_key, slot) from public.member_facts where member_id = {a9}";
        assert_eq!(
            one::<String>(&mut tx, stored).await,
            "Genou droit / injury.knee.right",
            "{persona:?}"
        );
        run(
            &mut tx,
            "update public.member_facts set slot = 'injury.made.up', fact_value = '{\"side\": \"right\"}' where member_id = {a9}",
        )
        .await;
        assert!(
            one::<String>(&mut tx, stored)
                .await
                .ends_with("injury.knee.right")
        );
    }
}

#[tokio::test]
async fn what_looks_alike_is_proposed_and_not_merged() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    store(
        &mut tx,
        "injury",
        "knee_right_pain",
        r#"{"location": "right_knee"}"#,
    )
    .await;
    store(&mut tx, "injury", "genou_droit", "{}").await;
    store(&mut tx, "injury", "knee_pain", "{}").await;
    store(&mut tx, "injury", "knee_left_pain", "{}").await;
    store(&mut tx, "goal", "objectif_secret", r#"{"detail": "danser"}"#).await;
    store(&mut tx, "goal", "secret_objectif", r#"{"detail": "courir"}"#).await;
    store(&mut tx, "goal", "un_autre", r#"{"detail": "danser"}"#).await;
    store(&mut tx, "injury", "shoulder_pain", "{}").await;
    assert_eq!(
        lines(&mut tx, PROPOSALS).await,
        [
            "same_slot genou_droit knee_right_pain",
            "same_value objectif_secret un_autre",
            "same_words objectif_secret secret_objectif",
            "side_unknown genou_droit knee_pain",
            "side_unknown knee_left_pain knee_pain",
            "side_unknown knee_pain knee_right_pain",
        ]
    );
    assert_eq!(
        one::<i64>(
            &mut tx,
            "select count(*) from public.member_facts where member_id = {a9} and is_active"
        )
        .await,
        8,
        "all of them stay as they are"
    );
    run(
        &mut tx,
        "delete from public.member_facts where member_id = {a9} and fact_key = 'knee_pain'",
    )
    .await;
    assert_eq!(
        lines(&mut tx, PROPOSALS).await.len(),
        3,
        "a proposal goes with its facts"
    );
}

#[tokio::test]
async fn a_rejected_proposal_does_not_come_back() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    store(&mut tx, "injury", "knee_right_pain", "{}").await;
    store(&mut tx, "injury", "genou_droit", "{}").await;
    run(
        &mut tx,
        "update jarvis.fact_proposals set state = 'rejected', decided_by = 'operator', decided_at = now() where member_id = {a9}",
    )
    .await;
    run(
        &mut tx,
        "update public.member_facts set is_active = false where member_id = {a9} and fact_key = 'genou_droit'",
    )
    .await;
    become_(&mut tx, MANAGER_A).await;
    run(
        &mut tx,
        "update public.member_facts set is_active = true where member_id = {a9} and fact_key = 'genou_droit'",
    )
    .await;
    become_(&mut tx, SERVER_A).await;
    let states = "select state from jarvis.fact_proposals where member_id = {a9}";
    assert_eq!(lines(&mut tx, states).await, ["rejected"]);
}

#[tokio::test]
async fn a_fact_lives_as_long_as_its_slot_and_longer_when_it_is_said_again() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    for (category, key, months) in [
        ("injury", "knee_pain", 6),
        ("goal", "weight_loss", 24),
        ("concern", "couleur_des_murs", 12),
        ("concern", "distress", 6),
    ] {
        store(&mut tx, category, key, "{}").await;
        let lives = format!(
            "select expires_at = now() + interval '{months} months' from public.member_facts
              where member_id = {{a9}} and fact_key = '{key}'"
        );
        assert!(one::<bool>(&mut tx, &lives).await, "{key}");
    }
    run(
        &mut tx,
        "update public.member_facts set expires_at = now() + interval '1 day' where member_id = {a9}",
    )
    .await;
    become_(&mut tx, MANAGER_A).await;
    run(&mut tx, "update public.member_facts set confidence = confidence where member_id = {a9} and fact_key = 'knee_pain'").await;
    let again = "select expires_at = now() + interval '6 months' from public.member_facts
                  where member_id = {a9} and fact_key = 'knee_pain'";
    assert!(one::<bool>(&mut tx, again).await, "a person confirmed it");
}

#[tokio::test]
async fn life_goes_from_active_to_stale_to_expired() {
    let world = World::new().await;
    let mut tx = world.act_as(SERVER_A).await;
    store(&mut tx, "injury", "knee_pain", "{}").await;
    store(&mut tx, "preference", "music", "{}").await;
    for (days, injury, preference) in [
        (1, "active", "active"),
        (31, "stale", "active"),
        (190, "expired", "active"),
        (800, "expired", "expired"),
    ] {
        let life = format!(
            "select string_agg(jarvis.fact_life(f, now() + interval '{days} days'), ' ' order by category)
               from public.member_facts f where member_id = {{a9}}"
        );
        assert_eq!(
            one::<String>(&mut tx, &life).await,
            format!("{injury} {preference}"),
            "{days}"
        );
    }
}

#[tokio::test]
async fn what_the_registry_calls_health_is_health_whoever_wrote_it() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    let differ = lines(
        &mut tx,
        "select s.slot from jarvis.fact_slots s
          where jarvis.is_health_fact(s.category, 'k', '{}', s.slot) <> s.health
             or jarvis.is_health_fact(s.category, 'k', '{}', s.slot || '.knee.right') <> s.health",
    )
    .await;
    assert_eq!(differ, [""; 0]);
    let recovery: bool = one(
        &mut tx,
        "select jarvis.is_health_fact('progress', 'recovery_knee', '{\"metric\": \"recovery\"}',
                                      jarvis.slot_of('progress', 'recovery_knee', '{}'))",
    )
    .await;
    assert!(recovery);
}
