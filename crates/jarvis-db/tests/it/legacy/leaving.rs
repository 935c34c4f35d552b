//! The tables go when all is accounted for, and a member goes with what they left there.

use super::{
    GYMS, LEGACY, check_sums, consent, count, facts, import, lines, lost_cells, member, run, stating,
    with_legacy,
};
use jarvis_core::Purpose;
use jarvis_db::migrations::{MigrationError, legacy};
use jarvis_db::queries::erasure;
use jarvis_testkit::TestDb;

async fn refusal(db: &TestDb, tables: &[&str]) -> String {
    let tables: Vec<String> = tables.iter().map(|t| (*t).to_owned()).collect();
    match legacy::cleanup(db.url(), &tables).await.unwrap_err() {
        MigrationError::Refused { problem, hint } => format!("{problem} ({hint})"),
        other => panic!("{other}"),
    }
}

async fn what_others_built_on_a_table_keeps_it(db: &TestDb) {
    let pool = db.admin_pool();
    run(
        pool,
        "create table public.lockers (id int, member_id uuid references public.gym_members (id));
         create view public.old_members as select id from public.gym_members",
    )
    .await;
    let said = refusal(db, &LEGACY).await;
    assert!(
        said.contains("foreign key lockers_member_id_fkey of public.lockers, view public.old_members")
            || said.contains("foreign key lockers_member_id_fkey of lockers, view old_members"),
        "{said}"
    );
    assert_eq!(count(pool, "select count(*) from public.gym_members").await, 42);
    run(pool, "drop view public.old_members; drop table public.lockers").await;
}

#[tokio::test]
async fn cleanup_refuses_while_a_row_is_unaccounted_for_and_names_what_stands_in_the_way() {
    let db = with_legacy().await;
    let pool = db.admin_pool();
    assert!(
        refusal(&db, &["gym_members"])
            .await
            .contains("42 of 42 rows (42 never imported")
    );
    import(&db, &[]).await;
    assert!(
        refusal(&db, &["gym_members"])
            .await
            .contains("gym_members: 2 of 42 rows (0 never imported, 0 changed since, 2 refused)")
    );
    assert!(
        refusal(&db, &["gym_members_v2"])
            .await
            .contains("gym_members_v2 is none of")
    );
    assert!(refusal(&db, &[]).await.contains("--confirm"));
    run(
        pool,
        "insert into public.jarvis_conversation_logs (id, message_text) values (1001, 'trop tard')",
    )
    .await;
    assert!(
        refusal(&db, &LEGACY[1..])
            .await
            .contains("jarvis_conversation_logs: 1 of 501")
    );
    run(
        pool,
        "update public.openai_realtime_audio_events set transcript = 'x' where id = md5('audio1')::uuid",
    )
    .await;
    assert!(refusal(&db, &LEGACY[2..]).await.contains("1 changed since"));

    // The ways out: a gym for the one, a mended name for the other; then the import again.
    run(
        pool,
        "update public.gym_members set last_name = 'm10 Legrand' where last_name like 'm10%'",
    )
    .await;
    let mut statements = stating(&[]);
    statements.gyms = vec![(
        "cccccccc-0000-4000-8000-00000000000c".to_owned(),
        "nulle-part".to_owned(),
    )];
    let error = legacy::import(db.url(), &statements, true).await.unwrap_err();
    assert!(
        error.to_string().contains("nulle-part") && error.hint().unwrap().contains("gym list"),
        "{error}"
    );
    statements.gyms[0].1 = "salle-b".to_owned();
    let report = legacy::import(db.url(), &statements, true).await.unwrap();
    assert!(report.is_complete(), "{:?}", report.tables);
    check_sums(&db, &report).await;
    for table in LEGACY {
        assert_eq!(lost_cells(pool, table).await, Vec::<String>::new());
    }

    what_others_built_on_a_table_keeps_it(&db).await;

    let all: Vec<String> = LEGACY.map(str::to_owned).to_vec();
    assert_eq!(legacy::cleanup(db.url(), &all).await.unwrap(), all);
    assert_eq!(count(pool, "select count(*) from pg_class where relname = any (array['gym_members', 'jarvis_conversation_logs'])").await, 0);
    // What waits for a consent outlives the tables.
    consent(&db, 1, "memory", true, false).await;
    assert!(!facts(&db, 1).await.is_empty());
    let after = legacy::status(db.url()).await.unwrap();
    assert!(after.tables.is_empty() && !after.reconciliation.is_empty());
    import(&db, &[Purpose::Memory]).await;
    assert!(
        !facts(&db, 2).await.is_empty(),
        "a statement works after the cleanup too"
    );
}

#[tokio::test]
async fn an_erased_member_does_not_come_back() {
    let db = with_legacy().await;
    let pool = db.admin_pool();
    import(&db, &[Purpose::Memory, Purpose::HealthMemory]).await;
    run(
        pool,
        format!("delete from public.gym_members_v2 where id = '{}'", member(1)),
    )
    .await;
    run(
        pool,
        format!(
            "update public.gym_members set phone = '01 02 03 04 05' where id = '{}'",
            member(1)
        ),
    )
    .await;
    run(
        pool,
        "update public.jarvis_conversation_logs set message_text = 'l40 changé' where id = 40",
    )
    .await;
    let report = import(&db, &[Purpose::Memory]).await;
    let name = "select count(*) from public.gym_members_v2 where first_name like 'm01%'";
    assert_eq!(count(pool, name).await, 0);
    let traces = format!(
        "select count(*) from jarvis.legacy_held where content::text like '%m01%' or content::text like '%l40 %' or member_id = '{}'",
        member(1)
    );
    assert_eq!(count(pool, &traces).await, 0);
    let rows = report
        .reconciliation
        .iter()
        .find(|l| l.table == "gym_members" && l.column == "*")
        .unwrap();
    assert_eq!((rows.erased, rows.found), (1, 42));
    assert_eq!(
        report.tables[0].waiting + report.tables[0].changed,
        0,
        "{:?}",
        report.tables[0]
    );
}

#[tokio::test]
async fn erasing_a_member_takes_their_rows_in_the_predecessors_tables_along_or_says_which_stand_in_the_way() {
    let db = TestDb::new().await;
    let pool = db.admin_pool();
    run(pool, GYMS).await;
    run(
        pool,
        "create table public.gym_members (id bigint, gym_id text, badge_id text, first_name text, last_name text);
         insert into public.gym_members values (7, '1', 'B7', 'Ana', 'Sousa'), (8, '1', 'B8', 'Bea', 'Sousa'), (9, null, 'B9', 'Cléo', 'Petit');
         create table public.jarvis_conversation_logs (member_id bigint, content text);
         insert into public.jarvis_conversation_logs values (7, 'perroquet'), (7, 'perroquet'), (8, 'bonjour')",
    )
    .await;
    let mut statements = stating(&[Purpose::Memory]);
    statements.gyms = vec![("1".to_owned(), "salle-a".to_owned())];
    legacy::import(db.url(), &statements, true).await.unwrap();
    // What came after the import is theirs as well; what has their badge in a gym that nobody named may be.
    run(
        pool,
        "insert into public.jarvis_conversation_logs values (7, 'perroquet encore');
         insert into public.gym_members values (12, '2', 'b8', 'Bea', 'Sousa')",
    )
    .await;
    let gym: jarvis_core::GymId = "aaaaaaaa-0000-4000-8000-00000000000a".parse().unwrap();
    let id = async |badge: &str| -> jarvis_core::MemberId {
        let query = format!("select id::text from public.gym_members_v2 where badge_id = '{badge}'");
        lines(pool, &query).await[0].parse().unwrap()
    };
    let (ana, bea) = (id("B7").await, id("B8").await);
    let now = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    let mut conn = pool.acquire().await.unwrap();
    let certificate = erasure::erase(&mut conn, gym, ana, uuid::Uuid::from_u128(1), now)
        .await
        .unwrap();
    let rows = |table: &str| {
        let touched = certificate.touched.iter().filter(|t| t.table == table);
        touched.map(|t| t.rows).sum::<i64>()
    };
    assert_eq!(
        (
            rows("public.gym_members"),
            rows("public.jarvis_conversation_logs")
        ),
        (1, 3)
    );
    let logs = "select member_id || ' ' || content from public.jarvis_conversation_logs";
    assert_eq!(lines(pool, logs).await, ["8 bonjour"]);
    let names = "select first_name from public.gym_members order by id";
    assert_eq!(lines(pool, names).await, ["Bea", "Cléo", "Bea"]);

    let refused = erasure::erase(&mut conn, gym, bea, uuid::Uuid::from_u128(2), now).await;
    assert!(
        matches!(&refused, Err(jarvis_db::DbError::Refused { code, hint: Some(hint), .. })
            if code == "JE002" && hint.contains("migration cleanup")),
        "{refused:?}"
    );
    assert_eq!(lines(pool, logs).await, ["8 bonjour"], "nothing was changed");
    run(pool, "delete from public.gym_members where id = 12").await;
    erasure::erase(&mut conn, gym, bea, uuid::Uuid::from_u128(2), now)
        .await
        .unwrap();
    assert_eq!(lines(pool, names).await, ["Cléo"]);
    // Nothing of them comes back.
    legacy::import(db.url(), &statements, true).await.unwrap();
    assert_eq!(count(pool, "select count(*) from public.gym_members_v2").await, 0);
}

#[tokio::test]
async fn a_consent_that_is_withdrawn_takes_the_words_out_of_the_predecessors_tables() {
    for purpose in ["memory", "health_memory"] {
        let db = with_legacy().await;
        let pool = db.admin_pool();
        import(&db, &[Purpose::Memory, Purpose::HealthMemory]).await;
        let theirs = "select count(*) from public.jarvis_conversation_logs l
                        join jarvis.legacy_rows r on r.source_table = 'jarvis_conversation_logs' and r.source_id = l.id::text
                       where r.member_id = ";
        let first: String = sqlx::query_scalar(
            "select r.member_id::text from public.jarvis_conversation_logs l
               join jarvis.legacy_rows r on r.source_table = 'jarvis_conversation_logs' and r.source_id = l.id::text
              where r.member_id is not null group by 1 order by count(*) desc, 1 limit 1",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        let all = count(pool, "select count(*) from public.jarvis_conversation_logs").await;
        let own = count(pool, &format!("{theirs} '{first}'")).await;
        assert!(own > 0);
        run(
            pool,
            format!(
                "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source)
                 select gym_id, id, '{purpose}', false, 'kiosk' from public.gym_members_v2 where id = '{first}'"
            ),
        )
        .await;
        run(
            pool,
            format!(
                "do $$ declare gym uuid := (select gym_id from public.gym_members_v2 where id = '{first}'); begin
                   perform set_config('app.gym_id', gym::text, true);
                   perform case '{purpose}' when 'memory' then jarvis.withdraw_memory(gym, '{first}')::text
                     else jarvis.withdraw_health(gym, '{first}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}')::text end;
                 end $$"
            ),
        )
        .await;
        assert_eq!(count(pool, &format!("{theirs} '{first}'")).await, 0, "{purpose}");
        let left = count(pool, "select count(*) from public.jarvis_conversation_logs").await;
        assert_eq!(left, all - own, "nobody else's");
    }
}
