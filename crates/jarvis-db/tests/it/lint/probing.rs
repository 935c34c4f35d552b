//! Visitors are imitated truly, and leave no trace.

use super::{clean, codes, execute, lint_as, lint_of, run, settings};
use jarvis_db::lint::{self, LintError};
use secrecy::ExposeSecret as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Tries the four verbs on public.notes for real, as the visitor, and undoes each.
async fn try_for_real(connection: &mut PgConnection, role: &str, claims: &str) -> [bool; 4] {
    let gym = "aaaaaaaa-0000-7000-8000-000000000000";
    let statements = [
        "select 1 from public.letters".to_owned(),
        format!("insert into public.letters (gym_id, body) values ('{gym}', 'planted')"),
        "update public.letters set body = 'changed'".to_owned(),
        "delete from public.letters".to_owned(),
    ];
    let mut worked = [false; 4];
    for (statement, worked) in statements.iter().zip(&mut worked) {
        execute(connection, "savepoint trying").await;
        sqlx::query("select set_config('request.jwt.claims', $1, true), set_config('role', $2, true)")
            .bind(claims)
            .bind(role)
            .execute(&mut *connection)
            .await
            .unwrap();
        let done = sqlx::raw_sql(AssertSqlSafe(statement.clone()))
            .execute(&mut *connection)
            .await;
        *worked = done.is_ok_and(|done| done.rows_affected() > 0);
        execute(connection, "rollback to savepoint trying").await;
    }
    worked
}

/// Policies of one table, some open and some shut.
const POLICIES: [&str; 14] = [
    "create policy x on public.letters to anon using (true)",
    "create policy x on public.letters using (auth.uid() is null)",
    "create policy x on public.letters using (auth.uid() is not null)",
    "create policy x on public.letters to authenticated using (gym_id = any ((select private.my_gyms())::uuid[]))",
    "create policy x on public.letters to anon using (true) with check (false)",
    "create policy x on public.letters to anon, authenticated using (gym_id is not null)",
    "create policy x on public.letters to anon using (true); create policy y on public.letters as restrictive for update using (false)",
    "create policy x on public.letters to anon using (true); create policy y on public.letters as restrictive to authenticated using (false)",
    "create policy x on public.letters as restrictive using (true)",
    "create policy x on public.letters for select using (true); create policy y on public.letters for insert with check (body like 'plan%')",
    "create policy x on public.letters for select using (true); create policy y on public.letters for delete using (letters.body <> '')",
    "create policy x on public.letters for select using (true); create policy y on public.letters for update using (exists (select from public.plans))",
    "create policy x on public.letters for all to authenticated using (false) with check (true)",
    "alter table public.letters disable row level security",
];

#[tokio::test]
async fn what_the_probes_say_is_what_postgresql_does() {
    let db = clean().await;
    run(
        &db,
        "create table public.letters (id bigint generated always as identity primary key, gym_id uuid, body text);
         alter table public.letters enable row level security; alter table public.letters force row level security;
         grant select, insert, update, delete on public.letters to anon, authenticated;
         insert into public.letters (gym_id, body) values ('aaaaaaaa-0000-7000-8000-000000000000', 'planned')",
    )
    .await;
    let verbs = ["read", "insert", "update", "delete"];
    let mut both = [0, 0];
    for policies in POLICIES {
        let mut tx = db.admin_pool().begin().await.unwrap();
        execute(&mut tx, policies).await;
        let report = lint::run_within(&mut tx, &settings()).await.unwrap();
        let found: BTreeSet<_> = report
            .findings
            .iter()
            .filter(|f| f.object == "public.letters")
            .map(|f| f.code)
            .collect();
        let anon = try_for_real(&mut tx, "anon", "").await;
        let nobody = try_for_real(&mut tx, "authenticated", r#"{"role":"authenticated"}"#).await;
        let unknown = format!(r#"{{"sub":"{}"}}"#, settings().stranger);
        let unknown = try_for_real(&mut tx, "authenticated", &unknown).await;
        for (n, verb) in verbs.iter().enumerate() {
            for (who, really) in [("anon", anon[n]), ("stranger", nobody[n] || unknown[n])] {
                let said = found.contains(format!("{who}_can_{verb}").as_str());
                assert_eq!(said, really, "{who} {verb}: {policies}\n{:#?}", report.findings);
                both[usize::from(really)] += 1;
            }
        }
    }
    assert!(both.iter().all(|n| *n > 20), "{both:?}");
}

/// What a careless look would change.
const STATE: &str = "select concat_ws(' ', (select is_called from public.calls),
    (select last_value from public.members_number_seq), (select count(*) from public.members),
    pg_current_xact_id_if_assigned(), (select string_agg(xmin::text || xmax::text, ' ') from public.members),
    current_setting('role'), current_setting('search_path'))";

#[tokio::test]
async fn looking_leaves_no_trace() {
    let db = clean().await;
    run(
        &db,
        "create sequence public.calls;
         create function private.ring() returns trigger language plpgsql set search_path = '' as $$
           begin perform nextval('public.calls'), pg_notify('rung', tg_op); raise 'a trigger fired'; end $$;
         revoke all on function private.ring() from public;
         create trigger ring before insert or update or delete on public.members execute function private.ring();
         create policy open_ on public.members to anon using (true) with check (true)",
    )
    .await;
    let mut connection = PgConnection::connect(db.url().expose_secret()).await.unwrap();
    let state = async |connection: &mut PgConnection| {
        sqlx::query_scalar::<_, String>(STATE)
            .fetch_one(connection)
            .await
            .unwrap()
    };
    let before = state(&mut connection).await;
    let report = lint::run(&mut connection, &settings()).await.unwrap();
    let open = codes(&report.findings);
    assert_eq!(
        open,
        BTreeSet::from([
            "anon_can_read",
            "anon_can_insert",
            "anon_can_update",
            "anon_can_delete"
        ])
    );
    assert_eq!(state(&mut connection).await, before);
}

#[tokio::test]
async fn a_view_that_calls_what_acts_outside_is_not_read() {
    let db = clean().await;
    run(
        &db,
        "create function private.post() returns int language plpgsql set search_path = '' as $$
           begin perform 'net.http_post'; raise 'it was called'; end $$;
         revoke all on function private.post() from public;
         create view public.v with (security_invoker = true) as select private.post() as posted;
         create view public.above with (security_invoker = true) as select posted from public.v;
         grant execute on function private.post() to authenticated;
         grant select on public.v, public.above to authenticated",
    )
    .await;
    let found = lint_of(&db).await.findings;
    let said: BTreeSet<_> = found.iter().map(|f| (f.code, f.object.as_str())).collect();
    assert_eq!(
        said,
        BTreeSet::from([("not_checked", "public.above"), ("not_checked", "public.v")])
    );
    assert!(
        found
            .iter()
            .all(|f| f.what.as_deref().unwrap().contains("not tried")),
        "{found:#?}"
    );
}

#[tokio::test]
async fn an_owner_who_is_no_superuser_can_look_and_is_told_what_it_cannot_see() {
    let db = clean().await;
    let owner = format!("owner_{}", Uuid::now_v7().simple());
    run(
        &db,
        format!(
            "create role {owner} login password 'only-for-tests'; grant usage, create on schema public, private to {owner};
             grant usage on schema extensions, auth to {owner};
             do $$ declare t text; begin for t in select format('%I.%I', schemaname, tablename) from pg_tables
               where schemaname = 'public' loop execute 'alter table ' || t || ' owner to {owner}'; end loop; end $$;
             alter view public.badges owner to {owner}; revoke create on schema public, private from {owner}"
        ),
    )
    .await;
    let url = db.url_of(&owner, "only-for-tests");
    let report = lint_as(&url, &settings()).await;
    let said: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.code, f.object.as_str()))
        .collect();
    assert_eq!(said, [("not_checked", "anon"), ("not_checked", "authenticated")]);
    assert!(
        report.findings[0]
            .mend
            .as_deref()
            .unwrap()
            .starts_with("grant anon to")
    );
    assert!(
        report
            .remarks
            .iter()
            .any(|r| r.contains("under row level security")),
        "{:?}",
        report.remarks
    );

    run(&db, format!("grant anon, authenticated to {owner}; create policy x on public.members for delete to anon using (true)")).await;
    assert_eq!(
        codes(&lint_as(&url, &settings()).await.findings),
        BTreeSet::from(["anon_can_delete"])
    );
    run(&db, format!("drop owned by {owner}; drop role {owner}")).await;
}

#[tokio::test]
async fn a_question_that_cannot_be_asked_is_refused_with_the_way_out() {
    let db = clean().await;
    let mut connection = PgConnection::connect(db.url().expose_secret()).await.unwrap();
    let mut elsewhere = settings();
    elsewhere.schemas = vec!["nowhere".to_owned()];
    let refused = lint::run(&mut connection, &elsewhere).await.unwrap_err();
    assert!(
        matches!(&refused, LintError::NoSchema(name) if name == "nowhere"),
        "{refused}"
    );
    let mut other = settings();
    other.tenant = Some("club_id".to_owned());
    let refused = lint::run(&mut connection, &other).await.unwrap_err();
    assert!(refused.hint().unwrap().contains("--tenant"), "{refused}");
    // The connection is as good as before.
    other.tenant = None;
    assert_eq!(lint::run(&mut connection, &other).await.unwrap().findings, []);
    let mut one = settings();
    one.schemas = vec!["private".to_owned()];
    one.tenant = None;
    let report = lint::run(&mut connection, &one).await.unwrap();
    assert_eq!((report.findings, report.relations), (vec![], 0));
    assert!(report.remarks[0].contains("no table"), "{:?}", report.remarks);
}
