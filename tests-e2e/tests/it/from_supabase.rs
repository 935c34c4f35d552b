//! Moving a database of the guide's out of a Supabase project, by the commands of `docs/from-supabase.md` as they stand there.

use crate::adopt;
use crate::device::client;
use crate::program::{Folder, Program, path, text};
use crate::server::Server;
use jarvis_testkit::TestDb;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// What the whole move may take on a busy machine.
const TOGETHER: Duration = Duration::from_mins(2);
const PASSWORD: &str = "correct horse battery";
const EMAIL: &str = "lyon@exemple.fr";
/// The project's, which its keys are signed with.
const SECRET: &str = "the project's secret of JWTs, 0123456789";

/// The commands of one section of a page, in order.
fn commands(page: &str, section: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("\n## {section}\n"))
        .expect("the section");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1);
    blocks.filter_map(|block| block.split("```").next()).collect()
}

async fn counted(db: &TestDb, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db.admin_pool()).await.unwrap()
}

/// The project's anonymous key, as a project makes it.
fn anonymous_key() -> String {
    let claims = json!({"iss": "supabase", "ref": "abcdefghijklmnop", "role": "anon", "iat": 1_700_000_000, "exp": 4_000_000_000_u64});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_move_brings_everything_and_people_sign_in_as_before() {
    let page = |name: &str| {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        std::fs::read_to_string(docs.join(name)).unwrap()
    };
    let move_out = commands(&page("from-supabase.md"), "Moving out");
    assert_eq!(move_out, commands(&page("from-supabase.fr.md"), "Partir"));

    let (project, target) = (adopt::guide().await, TestDb::empty().await);
    sqlx::query("update auth.users set encrypted_password = $1")
        .bind(bcrypt::hash(PASSWORD, 4).unwrap())
        .execute(project.admin_pool())
        .await
        .unwrap();
    let mut program = Program::on(&target);
    let folder = Folder::new();
    let bin = path();
    let postgres = std::env::var("JARVIS_PG_DIR").unwrap_or_else(|_| "/usr".to_owned());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &move_out])
        .env_clear()
        .env(
            "PATH",
            format!("{}:{postgres}/bin:/usr/bin:/bin", bin.parent().unwrap().display()),
        )
        .env("SUPABASE_DB_URL", project.url().expose_secret())
        .env("JARVIS_ADMIN_DATABASE_URL", target.url().expose_secret())
        .env("DATABASE_URL", target.login_url().expose_secret())
        .env("JARVIS_DATA_DIR", program.data())
        .current_dir(folder.path())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TOGETHER, output).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{told}",
        String::from_utf8_lossy(&output.stdout)
    );

    let members = "select count(*) from public.gym_members_v2";
    assert_eq!(counted(&target, members).await, counted(&project, members).await);
    let lockers =
        "select count(*) from pg_policies p join pg_class c on c.oid = 'public.lockers'::regclass and c.relrowsecurity
          where p.tablename = 'lockers'";
    assert_eq!(
        counted(&target, lockers).await,
        1,
        "a table of the project's own is protected as it was"
    );
    assert!(!folder.path().join("logins.csv").exists());

    program.set("JARVIS_JWT_SECRET", SECRET);
    let server = Server::serve(&program).await;
    let url = |path: &str| format!("http://{}{path}", server.address);
    let key = anonymous_key();
    let signed = client()
        .post(url("/auth/v1/token?grant_type=password"))
        .header("apikey", &key)
        .json(&json!({"email": EMAIL, "password": PASSWORD}))
        .send()
        .await
        .unwrap();
    let session: Value = signed.json().await.unwrap();
    let members = client()
        .get(url(
            "/rest/v1/gym_members_v2?select=badge_id,preferences:member_preferences(language)&order=badge_id",
        ))
        .header("apikey", &key)
        .bearer_auth(text(&session, "/access_token"))
        .send()
        .await
        .unwrap();
    let members: Value = members.json().await.unwrap();
    assert_eq!(
        members.as_array().map(Vec::len),
        Some(8),
        "those of one gym: {members}"
    );
    assert_eq!(
        members[1],
        json!({"badge_id": "BADGE_002", "preferences": {"language": "en"}})
    );
}
