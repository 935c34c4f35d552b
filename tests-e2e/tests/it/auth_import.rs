//! People of a Supabase project move here, with their passwords, and its applications with their keys.

use crate::gyms;
use crate::program::{Program, fetched, text};
use crate::server::Server;
use crate::supabase_js::{ask, run};
use futures_util::TryStreamExt as _;
use jarvis_testkit::TestDb;
use jsonwebtoken::{EncodingKey, Header};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

const CLAIRE: &str = "claire@example.org";
const ID: &str = "0b8f3e5e-6a39-4d7a-9d6b-3f4b1c2d3e4f";
/// Claire's password in the project.
const PASSWORD: &str = "court 8!";
/// The project's JWT secret.
const SECRET: &str = "the-project-s-own-jwt-secret-of-forty-chars";
/// What its owner exports.
const COLUMNS: &str =
    "id, email, encrypted_password, email_confirmed_at, banned_until, raw_user_meta_data, created_at,
     deleted_at, is_sso_user";

/// A project's `auth.users`: Claire, and four whom nobody can take along.
async fn project() -> TestDb {
    let project = TestDb::empty().await;
    let schema = "create schema auth; create table auth.users (
        instance_id uuid, id uuid primary key, email varchar(255), encrypted_password varchar(255),
        email_confirmed_at timestamptz, banned_until timestamptz, raw_user_meta_data jsonb, created_at timestamptz,
        deleted_at timestamptz, is_sso_user boolean not null default false, recovery_token varchar(255))";
    sqlx::raw_sql(schema).execute(project.admin_pool()).await.unwrap();
    let insert = "insert into auth.users (id, email, encrypted_password, email_confirmed_at, raw_user_meta_data, created_at,
          deleted_at, is_sso_user)
        values ($1::uuid, 'Claire@Example.org', $2, '2024-03-01 09:30:00.5+01', '{\"nom\": \"Claire, dite \\\"C\\\"\"}', '2024-03-01', null, false),
          (gen_random_uuid(), 'eve@example.org', $2, null, null, '2024-03-02', null, false),
          (gen_random_uuid(), 'gone@example.org', $2, now(), null, '2024-03-03', now(), false),
          (gen_random_uuid(), 'sso@example.org', null, now(), null, '2024-03-04', null, true),
          (gen_random_uuid(), 'firebase@example.org', '$fbscrypt$v=1,n=14,r=8,p=1$x', now(), null, '2024-03-05', null, false)";
    sqlx::query(insert)
        .bind(ID)
        .bind(bcrypt::hash(PASSWORD, 10).unwrap())
        .execute(project.admin_pool())
        .await
        .unwrap();
    project
}

/// As `\copy … csv header` writes it.
async fn exported_csv(project: &TestDb) -> Vec<u8> {
    let mut connection = project.admin_pool().acquire().await.unwrap();
    let statement =
        format!("copy (select {COLUMNS} from auth.users order by created_at) to stdout (format csv, header)");
    let chunks = connection.copy_out_raw(&statement).await.unwrap();
    let chunks: Vec<_> = chunks.try_collect().await.unwrap();
    chunks.concat()
}

fn token(claims: &Value) -> String {
    jsonwebtoken::encode(
        &Header::default(),
        claims,
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .unwrap()
}

async fn stored(db: &TestDb) -> Vec<(String, String)> {
    sqlx::query_as("select id::text, encrypted_password from auth.users order by created_at")
        .fetch_all(db.admin_pool())
        .await
        .unwrap()
}

fn codes(report: &Value) -> Vec<(&str, &str)> {
    let refused = report["refused"].as_array().unwrap().iter();
    refused
        .map(|r| (r["at"].as_str().unwrap(), r["code"].as_str().unwrap()))
        .collect()
}

/// Claire signs in once she has rights, with the project's keys and tokens.
async fn the_old_password_key_and_token_work(program: &Program) {
    let server = Server::serve(program).await;
    let url = format!("http://{}", server.address);
    let now = jsonwebtoken::get_current_timestamp();
    let anon = token(
        &json!({"iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": "anon", "iat": now - 9_000_000,
        "exp": now + 300_000_000}),
    );
    let sign_in = format!("{url}/auth/v1/token?grant_type=password");
    let credentials = json!({"email": CLAIRE, "password": PASSWORD}).to_string();
    let (_, code, _) = ask(&sign_in, Method::POST, &anon, "", &credentials).await;
    assert_eq!(code, "invalid_credentials", "an import gives nobody rights");

    let rights = [
        "user",
        "add",
        CLAIRE,
        "--role",
        "gym_manager",
        "--gym",
        "lyon",
        "--keep-password",
    ];
    assert_eq!(text(&program.json(&rights).await, "/id"), ID);
    let unknown = [
        "user",
        "add",
        "eve@example.org",
        "--role",
        "super_admin",
        "--keep-password",
    ];
    assert_eq!(program.run(&unknown).await.code, 2);

    let members = format!("{url}/rest/v1/gym_members_v2?select=first_name");
    let person = |sub: &str| {
        token(
            &json!({"iss": "https://abcdefghijklmnopqrst.supabase.co/auth/v1", "aud": "authenticated", "sub": sub,
            "role": "authenticated", "user_metadata": {"role": "super_admin"}, "iat": now, "exp": now + 3600}),
        )
    };
    let (_, _, read) = ask(&members, Method::GET, &anon, &person(ID), "").await;
    assert_eq!(read, json!([{"first_name": "Sophie"}]), "a token of the project");
    let nobody = person("11111111-6a39-4d7a-9d6b-3f4b1c2d3e4f");
    assert_eq!(ask(&members, Method::GET, &anon, &nobody, "").await.2, json!([]));

    let variables = [
        ("SUPABASE_URL", url.as_str()),
        ("SUPABASE_ANON_KEY", anon.as_str()),
        ("EMAIL", CLAIRE),
        ("PASSWORD", PASSWORD),
    ];
    let Some(told) = run("imported_signs_in.mjs", &variables).await else {
        return;
    };
    assert_eq!(
        (&told["error"], &told["user"]["id"]),
        (&Value::Null, &json!(ID)),
        "{told:#}"
    );
    assert_eq!(
        told["user"]["user_metadata"],
        json!({"nom": "Claire, dite \"C\""})
    );
    assert_eq!(
        told["user"]["email_confirmed_at"], "2024-03-01T08:30:00.500Z",
        "{told:#}"
    );
    assert_eq!(told["members"], json!([{"first_name": "Sophie"}]));
}

#[tokio::test]
async fn people_of_a_project_sign_in_here_with_their_old_password_and_their_applications_old_key() {
    let (db, project) = (TestDb::new().await, project().await);
    let mut program = Program::on(&db);
    program.set("JARVIS_JWT_SECRET", SECRET);
    gyms::gym(&program, "lyon").await;
    gyms::gym(&program, "paris").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", gyms::EVERYTHING).await;
    gyms::member(&program, "paris", "BADGE_001", "Paul", gyms::EVERYTHING).await;
    let csv = program.folder().join("users.csv");
    std::fs::write(&csv, exported_csv(&project).await).unwrap();
    let csv = csv.display().to_string();
    let import = ["import", "auth-users", csv.as_str(), "--json"];

    let plan = program.run(&import).await;
    assert_eq!(plan.code, 3, "{plan:?}");
    assert!(
        !plan.stdout.contains("@example.org"),
        "a report names nobody: {plan:?}"
    );
    let report = plan.json();
    assert_eq!((&report["done"], &report["added"]), (&json!(false), &json!(1)));
    assert_eq!(
        codes(&report),
        [
            ("line 3", "email_not_confirmed"),
            ("line 4", "deleted"),
            ("line 5", "single_sign_on"),
            ("line 6", "password_hash")
        ]
    );
    assert_eq!(stored(&db).await, [], "a plan changes nothing");
    let done = program.run(&[&import[..], &["--yes"]].concat()).await.json();
    assert_eq!((&done["done"], &done["added"]), (&json!(true), &json!(1)));
    let kept = stored(&db).await;
    assert_eq!((kept.len(), kept[0].0.as_str()), (1, ID));
    assert!(kept[0].1.starts_with("$2b$10$"), "{}", kept[0].1);

    the_old_password_key_and_token_work(&program).await;

    let again = program.run(&[&import[..], &["--yes"]].concat()).await.json();
    assert_eq!((&again["added"], &again["known"]), (&json!(0), &json!(1)));
    if fetched("JARVIS_NODE").is_none() || fetched("JARVIS_NODE_MODULES").is_none() {
        return;
    }
    let hash = &stored(&db).await[0].1;
    assert!(
        hash.starts_with("$argon2id$"),
        "what is stored here stays: {hash}"
    );
}

#[tokio::test]
async fn the_project_itself_and_a_json_export_say_the_same_as_the_csv() {
    let (db, project) = (TestDb::new().await, project().await);
    let program = Program::on(&db);
    let select =
        format!("select json_agg(u order by created_at)::text from (select {COLUMNS} from auth.users) u");
    let exported: String = sqlx::query_scalar(sqlx::AssertSqlSafe(select))
        .fetch_one(project.admin_pool())
        .await
        .unwrap();
    let file = program.folder().join("users.json");
    std::fs::write(&file, exported).unwrap();
    let file = file.display().to_string();
    let by_file = program
        .run(&["import", "auth-users", &file, "--json"])
        .await
        .json();
    let url = project.url().expose_secret();
    let from = [
        "import",
        "auth-users",
        "--from-database-url",
        url,
        "--yes",
        "--json",
    ];
    let read = program.run(&from).await.json();
    assert_eq!(codes(&by_file), codes(&read));
    assert_eq!((&by_file["added"], &read["added"]), (&json!(1), &json!(1)));
    assert_eq!(codes(&read)[0], ("entry 2", "email_not_confirmed"));
    assert_eq!(stored(&db).await[0].0, ID);

    // Somebody else has the address: theirs stays theirs.
    let other = "update auth.users set id = gen_random_uuid()";
    sqlx::query(other).execute(db.admin_pool()).await.unwrap();
    let taken = program.run(&from).await.json();
    assert_eq!(
        (codes(&taken)[0], &taken["added"]),
        (("entry 1", "address_taken"), &json!(0))
    );

    // Where the platform signs people in there is nothing to import.
    let theirs = Program::on(&project);
    let refused = theirs.json_error(&["import", "auth-users", &file]).await;
    assert!(refused.to_string().contains("not ours"), "{refused}");
}
