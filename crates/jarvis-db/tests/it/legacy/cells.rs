//! Every cell is imported, held, or named.

use super::{GYMS, LEGACY, check_sums, count, import, lines, lost_cells, run, stating, with_legacy};
use jarvis_core::Purpose;
use jarvis_db::migrations::legacy;
use jarvis_testkit::TestDb;

#[tokio::test]
async fn every_cell_of_the_predecessor_is_found_again_or_named_with_and_without_consents() {
    for consents in [&[][..], &[Purpose::Memory, Purpose::HealthMemory][..]] {
        let db = with_legacy().await;
        assert!(
            count(
                db.admin_pool(),
                "select count(*) from information_schema.columns where table_name = 'gym_members'"
            )
            .await
                == 57
        );
        let report = import(&db, consents).await;
        for table in LEGACY {
            assert_eq!(
                lost_cells(db.admin_pool(), table).await,
                Vec::<String>::new(),
                "{consents:?}"
            );
        }
        check_sums(&db, &report).await;
        let broken = "select count(*) from public.member_facts where fact_value::text ~ 'Ã©|â€|Ãƒ|Ã¨'";
        assert_eq!(count(db.admin_pool(), broken).await, 0);
        let broken =
            "select count(*) from public.gym_members_v2 m where to_jsonb(m)::text ~ 'Ã©|â€|Ãƒ|Ã¨|\\uFFFD'";
        assert_eq!(count(db.admin_pool(), broken).await, 0);
        let broken =
            "select count(*) from public.conversation_events m where to_jsonb(m)::text ~ 'Ã©|â€|Ãƒ|Ã¨'";
        assert_eq!(count(db.admin_pool(), broken).await, 0);
    }
}

#[tokio::test]
async fn columns_land_where_the_mapping_says() {
    let db = with_legacy().await;
    import(&db, &[]).await;
    let wrong = lines(
        db.admin_pool(),
        "select g.id::text from public.gym_members g join public.gym_members_v2 m on m.id = g.id
           left join public.member_fitness_profile p on p.member_id = g.id
           left join public.member_preferences f on f.member_id = g.id
          where substr(g.id::text, 35)::integer not in (2, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 16, 20, 25, 30, 35, 41)
            and ((m.gym_id, m.badge_id, m.first_name, m.last_name, m.email, m.phone, m.date_of_birth, m.gender, m.profile_photo_url,
                  m.membership_type, m.member_since, m.membership_expires, m.is_active, m.created_at, m.updated_at, m.last_visit,
                  m.total_visits, m.can_use_jarvis, p.height_cm, p.current_weight_kg, p.target_weight_kg, p.body_fat_percentage,
                  p.fitness_level, p.workout_frequency_per_week, p.preferred_workout_duration, p.primary_goals,
                  f.language, f.voice_preference)
                 is distinct from
                 (g.gym_id, g.badge_id, g.first_name, g.last_name, g.email, g.phone, g.date_of_birth, g.gender, g.profile_photo_url,
                  g.membership_type, g.member_since, g.membership_expires, g.is_active, g.created_at, g.updated_at, g.last_visit,
                  g.total_visits, g.can_use_jarvis, g.height_cm, g.current_weight_kg, g.target_weight_kg, g.body_fat_percentage,
                  g.fitness_level, g.workout_frequency_per_week, g.preferred_workout_duration,
                  array(select jsonb_array_elements_text(g.fitness_goals)),
                  g.member_preferences ->> 'language', g.member_preferences ->> 'voice')
                 or p.preferred_workout_times <> '{\"morning\": true, \"afternoon\": false, \"evening\": true}'
                 or f.communication_style <> case g.communication_style when 'formal' then 'direct' when 'motivational' then 'encouraging'
                      when 'humorous' then 'energetic' else 'friendly' end
                 or f.feedback_style <> case g.preferred_feedback_style when 'direct' then 'challenging'
                      when 'encouraging' then 'motivating' when 'detailed' then 'technical' else 'gentle' end
                 or p.preferred_workout_style is not null
                 or m.member_notes <> g.member_notes || E'\\nContact d''urgence : nom : ' || (g.emergency_contact ->> 'nom')
                                      || ', tel : ' || (g.emergency_contact ->> 'tel'))",
    )
    .await;
    assert_eq!(wrong, Vec::<String>::new());
    let visits = "select count(*) from public.member_visits where source <> 'opening_balance'";
    assert_eq!(count(db.admin_pool(), visits).await, 0);
    let history =
        "select count(*) from jarvis.member_analytics_history where source = 'legacy' and day < current_date
                      and data ? 'peak_visit_hours'";
    assert_eq!(count(db.admin_pool(), history).await, 39);
    let badges = lines(
        db.admin_pool(),
        "select badge_id from public.gym_members_v2 where lower(btrim(badge_id)) like 'badge_02%' order by 1",
    )
    .await;
    assert_eq!(badges.len(), 2, "{badges:?}");
    assert!(badges.iter().any(|badge| badge.ends_with("#2")), "{badges:?}");
}

#[tokio::test]
async fn a_table_of_other_types_with_columns_missing_and_columns_of_its_own_is_imported_as_well() {
    let db = TestDb::new().await;
    let pool = db.admin_pool();
    run(pool, GYMS).await;
    run(
        pool,
        "create table public.gym_members (id bigint, gym_id text, badge_id text, first_name text, last_name text, is_active text,
             height_cm text, total_visits text, last_visit timestamp, injuries text, badge_type text, membership_status text, medical_notes text,
             requires_assistance boolean, member_preferences text, member_since text, date_of_birth text, shoe_size text);
         insert into public.gym_members values
           (7, '1', 'B7', 'Ana', 'Sousa', 'oui', '172,5', '12', '2025-02-03 04:05:06', 'entorse du genou', 'or', 'suspendu', 'asthme', true,
            '{\"language\": \"français\", \"couleur\": \"vert\"}', '2020-13-45', '1980-12-31', '42'),
           (9, '1', 'B8', 'Bea', 'Sousa', 'non', 'grande', 'douze', null, '[\"dos\", \"épaule\"]', null, null, null, false, 'pas du json {', null, '31/12/1980', null),
           (9, '1', 'B9', 'Cléo', 'Petit', null, null, null, null, null, null, null, null, null, null, null, null, null);
         create table public.jarvis_conversation_logs (member_id bigint, content text);
         insert into public.jarvis_conversation_logs values (7, 'bonjour'), (7, 'bonjour'), (8, 'qui parle ?'), (9, 'laquelle des deux ?')",
    )
    .await;
    let mut statements = stating(&[Purpose::Memory, Purpose::HealthMemory]);
    statements.gyms = vec![("1".to_owned(), "salle-a".to_owned())];
    let report = legacy::import(db.url(), &statements, true).await.unwrap();
    assert!(report.is_complete(), "{report:?}");
    let members = lines(
        pool,
        "select concat_ws(' ', m.badge_id, first_name, is_active, total_visits, last_visit at time zone 'UTC', p.height_cm)
           from public.gym_members_v2 m left join public.member_fitness_profile p on p.member_id = m.id order by badge_id",
    )
    .await;
    assert_eq!(
        members,
        [
            "B7 Ana t 12 2025-02-03 04:05:06 172.50",
            "B8 Bea f 0",
            "B9 Cléo t 0"
        ]
    );
    let held = lines(
        pool,
        "select source_column || ' ' || reason from jarvis.legacy_held where kind = 'value' order by 1",
    )
    .await;
    assert_eq!(
        held,
        [
            "badge_type no_place",
            "date_of_birth value_unfit",
            "height_cm value_unfit",
            "member_since value_unfit",
            "membership_status no_place",
            "shoe_size no_place",
            "total_visits value_unfit",
        ]
    );
    let events = lines(
        pool,
        "select coalesce(tool_args #>> '{legacy,content}', '-') from public.conversation_events",
    )
    .await;
    assert_eq!(events, ["bonjour", "bonjour"], "equal rows are two");
    let unknown = "select content ->> 'content' from jarvis.legacy_held where kind = 'row' order by 1";
    assert_eq!(lines(pool, unknown).await, ["laquelle des deux ?", "qui parle ?"]);
}
