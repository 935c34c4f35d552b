//! Row level security and the search from fewer steps: the answers of the migration before, to everybody.

use crate::world::{
    ANONYMOUS, INACTIVE_A, MANAGER_A, MANAGER_AB, NO_CLAIMS, Persona, SERVER_A, SERVER_B, SERVER_NOWHERE,
    SERVICE, STAFF_A, SUPER, SYSTEM, World, become_, lines, run,
};
use sqlx::{AssertSqlSafe, PgConnection};

const UP: &str = include_str!("../../../../supabase/migrations/20261126000001_recall_in_fewer_steps.sql");
const DOWN: &str =
    include_str!("../../../../supabase/migrations/down/20261126000001_recall_in_fewer_steps.sql");

const EVERYBODY: [Persona; 12] = [
    STAFF_A,
    MANAGER_A,
    MANAGER_AB,
    INACTIVE_A,
    SUPER,
    NO_CLAIMS,
    ANONYMOUS,
    SERVER_A,
    SERVER_B,
    SERVER_NOWHERE,
    SYSTEM,
    SERVICE,
];

/// Summaries of four members: some tell of health, some are another model's, one has no direction.
const SUMMARIES: &str = "
    select setseed(0.5);
    create temporary table made as
      select 'made-' || p.letter || p.n || '-' || i as session_id, p.gym_id, p.member_id, i % 3 = 0 as tells_health,
             case i % 7 when 0 then 'text-embedding-3-small' else 'e5-use-multilingual' end as model,
             (select array_agg(case when i = 5 or d > 384 then 0 else random() - 0.5 + 0 * i end) from generate_series(1, 1536) d)
               ::extensions.vector as embedding
        from world.people p, generate_series(1, 25) i where p.n <> 3;
    insert into public.conversation_summaries (session_id, gym_id, member_id, summary_text, embedding, embedding_model)
      select session_id, gym_id, member_id, session_id, embedding, model from made;
    alter table public.conversation_summaries disable trigger user;
    update public.conversation_summaries s set tells_health = m.tells_health from made m where m.session_id = s.session_id;
    alter table public.conversation_summaries enable trigger user;
    create table world.asked as select row_number() over (order by session_id) as n, embedding
      from made where session_id in ('made-a1-2', 'made-a9-7', 'made-b1-4');
    grant usage on schema world to public;
    grant select on world.asked to public";

/// What a statement answers, or the code with which it is refused.
async fn answer(connection: &mut PgConnection, statement: &str) -> Vec<String> {
    run(connection, "savepoint asked").await;
    let answered = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(statement.to_owned()))
        .fetch_all(&mut *connection)
        .await;
    match answered {
        Ok(rows) => rows.into_iter().map(|row| format!("{row:?}")).collect(),
        Err(sqlx::Error::Database(error)) => {
            let code = error.code().unwrap_or_default().into_owned();
            run(connection, "rollback to savepoint asked").await;
            vec![code]
        }
        Err(error) => panic!("{error}\nin: {statement}"),
    }
}

/// Everything that everybody is told.
async fn told(connection: &mut PgConnection) -> Vec<Vec<String>> {
    let members = "array['aaaaaaaa-0000-7000-8000-000000000001', 'aaaaaaaa-0000-7000-8000-000000000009',
                         'bbbbbbbb-0000-7000-8000-000000000001', 'cccccccc-0000-7000-8000-000000000001']::uuid[]";
    let mut all = Vec::new();
    for persona in EVERYBODY {
        for statement in [
            format!(
                "select concat_ws('|', a.n, t.threshold, m::text, f.*) from world.asked a, unnest({members}) m,
                        (values (-1.0, 200), (0.5, 5), (null, null)) as t (threshold, most),
                        public.match_conversation_summaries(a.embedding, m, t.threshold, t.most) f"
            ),
            "select summary_id::text from jarvis.summary_vectors order by 1".to_owned(),
            "select jarvis.my_gyms()::text".to_owned(),
            "select jarvis.my_gyms(array['gym_staff'])::text".to_owned(),
            "select jarvis.my_gyms(array['gym_manager', 'super_admin'])::text".to_owned(),
            "select first_name from public.gym_members_v2 order by id".to_owned(),
        ] {
            become_(&mut *connection, persona).await;
            all.push(answer(connection, &statement).await);
        }
    }
    run(connection, "reset role").await;
    all
}

#[tokio::test]
async fn everybody_is_told_what_they_were_told_before() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    run(&mut tx, SUMMARIES).await;
    let now = told(&mut tx).await;
    // Five statements were about something: a manager of A sees all of two members, staff what is not of health.
    assert!(now[6].len() > 100, "{}", now[6].len());
    assert!(
        now[0].len() > 20 && now[0].len() < now[6].len(),
        "{}",
        now[0].len()
    );
    assert!(
        now[18] == Vec::<String>::new(),
        "an inactive person finds nothing"
    );
    run(&mut tx, DOWN).await;
    assert_eq!(told(&mut tx).await, now, "as before");
    run(&mut tx, UP).await;
    assert_eq!(told(&mut tx).await, now, "and again");
}

#[tokio::test]
async fn a_person_is_whom_the_token_names_however_oddly() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    let id = "00000000-0000-7000-8000-0000000000a2";
    let odd = [
        format!(r#"{{"sub": "{id}"}}"#),
        format!(r#"{{"sub": "{}"}}"#, id.to_uppercase()),
        format!(r#"{{"sub": "{{{id}}}"}}"#),
        format!(r#"{{"sub": "{}"}}"#, id.replace('-', "")),
        format!(r#"{{"sub": "{id}\n"}}"#),
        format!(r#"{{"sub": " {id}"}}"#),
        format!(r#"{{"sub": "{id}0"}}"#),
        r#"{"sub": "0000000--0000-7000-8000-0000000000a2"}"#.to_owned(),
        r#"{"sub": "0000000g-0000-7000-8000-0000000000a2"}"#.to_owned(),
        r#"{"sub": "00000000-0000-7000-8000-0000000000a"}"#.to_owned(),
        r#"{"sub": "000000000000-7000-8000-0000-0000000a2"}"#.to_owned(),
        r#"{"sub": "٠0000000-0000-7000-8000-0000000000a2"}"#.to_owned(),
        r#"{"sub": null}"#.to_owned(),
        r#"{"sub": 7}"#.to_owned(),
        r#"{"role": "authenticated"}"#.to_owned(),
        "[]".to_owned(),
        "7".to_owned(),
        "no json".to_owned(),
        String::new(),
    ];
    let mut asked: Vec<(&str, &str)> = odd.iter().map(|claims| (claims.as_str(), "")).collect();
    // A claim of its own goes before the others, as it does on older platforms.
    asked.extend([("", id), (odd[1].as_str(), "nobody"), ("no json", id)]);
    let mut answers = Vec::new();
    for migration in [None, Some(DOWN), Some(UP)] {
        run(&mut tx, migration.unwrap_or("select 1")).await;
        let mut told = Vec::new();
        for (claims, sub) in &asked {
            sqlx::query(
                "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true),
                        set_config('request.jwt.claim.sub', $2, true)",
            )
            .bind(*claims)
            .bind(*sub)
            .execute(&mut *tx)
            .await
            .unwrap();
            for statement in ["select jarvis.uid()::text", "select jarvis.my_gyms()::text"] {
                told.push(answer(&mut tx, statement).await);
            }
        }
        run(&mut tx, "reset role").await;
        answers.push(told);
    }
    let named = answers[0].iter().step_by(2).filter(|a| a[0].contains(id)).count();
    assert_eq!(
        named, 4,
        "as written, in capitals, and twice in a claim of its own: {:?}",
        answers[0]
    );
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

/// 300 members more, one summary each, counted.
const CROWD: &str = "
    insert into public.gym_members_v2 (gym_id, badge_id, first_name, last_name)
      select {A}, 'X' || n, 'x', 'x' from generate_series(1, 300) n;
    insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source)
      select gym_id, id, 'memory', true, 'import' from public.gym_members_v2 where badge_id like 'X%';
    insert into public.conversation_summaries (gym_id, member_id, session_id, summary_text, embedding, embedding_model)
      select gym_id, id, 'x' || badge_id, 'x', s.embedding, 'e5-use-multilingual'
        from public.gym_members_v2,
             (select embedding from public.conversation_summaries where session_id = 'session-a1') s
       where badge_id like 'X%';
    analyze jarvis.summary_vectors; analyze public.conversation_summaries";

#[tokio::test]
async fn no_search_of_staff_or_managers_reads_a_whole_table() {
    let world = World::new().await;
    let mut tx = world.admin().await;
    run(&mut tx, CROWD).await;
    // The search's own statement, without a size of member that PostgreSQL could look up.
    run(
        &mut tx,
        "set local plan_cache_mode = force_generic_plan;
         prepare near (uuid, uuid, text, extensions.halfvec) as
           select s.summary_text
             from (select v.summary_id, v.emb operator(extensions.<=>) $4 as distance
                     from jarvis.summary_vectors v where v.member_id = $1 and v.gym_id = $2 and v.model = $3
                    order by distance, v.created_at desc, v.summary_id limit 5) as ranked
             join public.conversation_summaries s on s.gym_id = $2 and s.id = ranked.summary_id",
    )
    .await;
    for persona in [STAFF_A, MANAGER_A, SUPER, SERVER_A, SERVICE] {
        become_(&mut tx, persona).await;
        let plan = lines(
            &mut tx,
            "explain (costs off) execute near ({a1}, {A}, 'e5-use-multilingual', null)",
        )
        .await
        .join("\n");
        assert!(
            plan.contains("summary_vectors_member") && !plan.contains("Seq Scan"),
            "{persona:?}\n{plan}"
        );
    }
}
