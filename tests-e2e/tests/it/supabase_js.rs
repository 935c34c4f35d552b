//! An application written for Supabase, with the pinned `@supabase/supabase-js`: people sign in, stay signed in and sign
//! out.

use crate::device::client;
use crate::gyms;
use crate::program::{Folder, Program, fetched, text};
use crate::server::Server;
use jarvis_testkit::TestDb;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const EMAIL: &str = "claire@example.org";
/// As another project kept it: bcrypt, of [`PASSWORD`].
const PASSWORD: &str = "correct horse battery";

/// Runs a script of `node/` with the packages that it imports; what it printed. Nothing where they are not there.
pub async fn run(script: &str, variables: &[(&str, &str)]) -> Option<Value> {
    let (node, packages) = (fetched("JARVIS_NODE")?, fetched("JARVIS_NODE_MODULES")?);
    let folder = Folder::new();
    let scripts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
    std::fs::copy(scripts.join(script), folder.path().join(script)).unwrap();
    std::os::unix::fs::symlink(packages, folder.path().join("node_modules")).unwrap();
    let output = Command::new(node)
        .arg(script)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(2), output)
        .await
        .expect("the script ends")
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// A server with two gyms, a member of each, and Claire, who works for one.
struct Stage {
    db: TestDb,
    program: Program,
    server: Server,
    anon: String,
    /// Claire's.
    password: String,
    /// Of Claire's gym.
    member: String,
}

impl Stage {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let program = Program::on(&db);
        gyms::gym(&program, "lyon").await;
        gyms::gym(&program, "paris").await;
        let member = gyms::member(&program, "lyon", "BADGE_001", "Sophie", gyms::EVERYTHING).await;
        gyms::member(&program, "paris", "BADGE_001", "Paul", gyms::EVERYTHING).await;
        let password = gyms::person(&program, EMAIL, "gym_manager", &["lyon"]).await;
        let server = Server::serve(&program).await;
        let anon = text(&program.json(&["keys"]).await, "/anon_key");
        Self {
            db,
            program,
            server,
            anon,
            password,
            member,
        }
    }

    fn auth(&self, path: &str) -> String {
        format!("http://{}/auth/v1{path}", self.server.address)
    }

    /// Asks for a session, with an application's key.
    async fn token(&self, grant: &str, body: &Value) -> (u16, String, Value) {
        let url = self.auth(&format!("/token?grant_type={grant}"));
        ask(&url, Method::POST, &self.anon, "", &body.to_string()).await
    }

    /// Claire's session.
    async fn signed_in(&self) -> Value {
        let credentials = json!({"email": " Claire@Example.org", "password": self.password});
        let (status, _, session) = self.token("password", &credentials).await;
        assert_eq!(status, 200, "{session}");
        session
    }

    async fn renew(&self, session: &Value) -> (u16, String, Value) {
        let shown = json!({"refresh_token": text(session, "/refresh_token")});
        self.token("refresh_token", &shown).await
    }
}

#[tokio::test]
async fn a_person_signs_in_stays_signed_in_and_signs_out() {
    let stage = Stage::new().await;
    sqlx::query("update auth.users set encrypted_password = $1 where email = $2")
        .bind(bcrypt::hash(PASSWORD, 10).unwrap())
        .bind(EMAIL)
        .execute(stage.db.admin_pool())
        .await
        .unwrap();
    sqlx::query(
        "insert into public.member_fitness_profile (member_id, gym_id, fitness_level)
         select id, gym_id, 'advanced' from public.gym_members_v2",
    )
    .execute(stage.db.admin_pool())
    .await
    .unwrap();
    let url = format!("http://{}", stage.server.address);
    let variables = [
        ("SUPABASE_URL", url.as_str()),
        ("SUPABASE_ANON_KEY", stage.anon.as_str()),
        ("EMAIL", EMAIL),
        ("PASSWORD", PASSWORD),
        ("MEMBER", stage.member.as_str()),
    ];
    let Some(told) = run("signs_in.mjs", &variables).await else {
        return;
    };
    let code = |name: &str| told[name]["code"].as_str().unwrap_or("none").to_owned();
    assert_eq!(code("wrong_password"), "invalid_credentials", "{told:#}");
    assert_eq!(
        (code("sign_up"), code("otp")),
        ("signup_disabled".to_owned(), "otp_disabled".to_owned())
    );
    assert_eq!(told["sign_in"], Value::Null, "{told:#}");
    assert_eq!(
        told["session"],
        json!({"token_type": "bearer", "expires_in": 3600})
    );
    assert_eq!(
        (&told["user"]["email"], &told["get_user"]),
        (&json!(EMAIL), &json!(EMAIL))
    );
    let claims = &told["claims"];
    assert_eq!(
        (&claims["sub"], &claims["email"], &claims["role"], &claims["aal"]),
        (
            &told["user"]["id"],
            &json!(EMAIL),
            &json!("authenticated"),
            &json!("aal1")
        )
    );
    assert_eq!(told["member"]["first_name"], "Sophie", "{told:#}");
    assert_eq!(
        told["member"]["fitness_profile"]["fitness_level"], "advanced",
        "{told:#}"
    );
    assert!(told["member"]["preferences"].is_object(), "{told:#}");
    assert_eq!(told["others"], json!([{"first_name": "Sophie"}]));
    assert_eq!(told["upserted"]["category"], "goal", "{told:#}");
    assert_eq!(told["upserted"]["id"], told["upserted_again"]["id"]);
    assert_eq!(
        (&told["renewed"], &told["rotated"], &told["same_session"]),
        (&Value::Null, &json!(true), &json!(true))
    );
    assert_eq!(code("unknown_refresh"), "refresh_token_not_found");
    ends(&told);

    let hash = "select encrypted_password from auth.users where email = $1";
    let hash: String = sqlx::query_scalar(hash)
        .bind(EMAIL)
        .fetch_one(stage.db.admin_pool())
        .await
        .unwrap();
    assert!(hash.starts_with("$argon2id$"));
    let log = stage.server.log.so_far();
    for secret in [PASSWORD, "un autre mot de passe", stage.anon.as_str()] {
        assert!(!log.contains(secret), "a password or a key is in the log");
    }
}

/// What was told of changing the password and of signing out.
fn ends(told: &Value) {
    let code = |name: &str| told[name]["code"].as_str().unwrap_or("none").to_owned();
    // The client's name for `session_not_found`.
    let gone = json!("AuthSessionMissingError");
    assert_eq!(told["updated"], json!({"langue": "fr"}));
    assert_eq!(
        (code("weak"), code("same")),
        ("weak_password".to_owned(), "same_password".to_owned())
    );
    assert_eq!(told["new_password"], Value::Null, "{told:#}");
    assert_eq!(
        (code("other_session").as_str(), &told["other_user"]["name"]),
        ("session_expired", &gone)
    );
    assert_eq!(code("old_password"), "invalid_credentials");
    assert_eq!(told["sign_out"], Value::Null, "{told:#}");
    assert_eq!(
        (&told["after_sign_out"]["name"], code("after_refresh").as_str()),
        (&gone, "session_expired")
    );
}

/// Asks by hand: status, code and body.
pub(crate) async fn ask(
    url: &str,
    method: Method,
    key: &str,
    bearer: &str,
    body: &str,
) -> (u16, String, Value) {
    let mut request = client()
        .request(method, url)
        .header("content-type", "application/json");
    if !key.is_empty() {
        request = request.header("apikey", key);
    }
    if !bearer.is_empty() {
        request = request.bearer_auth(bearer);
    }
    let response = request.body(body.to_owned()).send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap_or_default();
    (
        status,
        body["error_code"].as_str().unwrap_or_default().to_owned(),
        body,
    )
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_its_session() {
    let stage = Stage::new().await;
    let session = stage.signed_in().await;
    let (_, _, second) = stage.renew(&session).await;
    // The answer was lost, and the application asks again at once: that is no theft.
    let (status, _, again) = stage.renew(&session).await;
    assert_eq!(status, 200, "{again}");
    let later = "update jarvis.refresh_tokens set used_at = used_at - interval '11 seconds' where used_at is not null";
    sqlx::query(later).execute(stage.db.admin_pool()).await.unwrap();
    let (status, code, _) = stage.renew(&session).await;
    assert_eq!((status, code.as_str()), (400, "refresh_token_already_used"));
    for token in [&second, &again] {
        let (status, code, _) = stage.renew(token).await;
        assert_eq!(
            (status, code.as_str()),
            (400, "session_expired"),
            "neither goes on"
        );
    }
}

#[tokio::test]
async fn a_long_session_forgets_what_was_spent_a_month_ago() {
    let stage = Stage::new().await;
    let first = stage.signed_in().await;
    let (_, _, second) = stage.renew(&first).await;
    let (_, _, third) = stage.renew(&second).await;
    let older = "update jarvis.refresh_tokens set used_at = used_at - interval '31 days' where token_hash = sha256($1::bytea)";
    let token = text(&first, "/refresh_token");
    let pool = stage.db.admin_pool();
    sqlx::query(older)
        .bind(token.as_bytes())
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(stage.renew(&third).await.0, 200);
    let held: Vec<bool> =
        sqlx::query_scalar("select used_at is not null from jarvis.refresh_tokens order by created_at")
            .fetch_all(pool)
            .await
            .unwrap();
    assert_eq!(held, [true, true, false], "the first is gone");
    assert_eq!(stage.renew(&first).await.1, "refresh_token_not_found");
}

#[tokio::test]
async fn a_session_is_over_after_a_month_and_with_its_account() {
    let stage = Stage::new().await;
    let (idle, other) = (stage.signed_in().await, stage.signed_in().await);
    let aged = "update jarvis.auth_sessions set refreshed_at = refreshed_at - interval '31 days' where id = (
                  select session_id from jarvis.refresh_tokens where token_hash = sha256($1::bytea))";
    let token = text(&idle, "/refresh_token");
    let pool = stage.db.admin_pool();
    sqlx::query(aged)
        .bind(token.as_bytes())
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(stage.renew(&idle).await.1, "session_expired");
    sqlx::query("update public.users set is_active = false")
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(stage.renew(&other).await.1, "user_banned");
    let bearer = text(&other, "/access_token");
    let (_, code, _) = ask(&stage.auth("/user"), Method::GET, &stage.anon, &bearer, "").await;
    assert_eq!(code, "user_not_found");
    let minted = stage.program.run(&["token", "mint", "--user", EMAIL]).await;
    assert_eq!(minted.code, 2, "{minted:?}");
}

#[tokio::test]
async fn nonsense_is_told_in_words_that_clients_know() {
    let stage = Stage::new().await;
    let anon = stage.anon.as_str();
    let credentials = json!({"email": EMAIL, "password": stage.password}).to_string();
    let (by_password, by_token) = ("/token?grant_type=password", "/token?grant_type=refresh_token");
    let (post, get) = (Method::POST, Method::GET);
    for (path, method, key, bearer, body, expected) in [
        (
            by_password,
            &post,
            "",
            "",
            credentials.as_str(),
            (401, "no_authorization"),
        ),
        (
            by_password,
            &post,
            "nonsense",
            "",
            &credentials,
            (401, "no_authorization"),
        ),
        (by_password, &post, anon, "", "{", (400, "bad_json")),
        (by_password, &post, anon, "", "[]", (400, "bad_json")),
        (by_password, &post, anon, "", "{}", (400, "validation_failed")),
        (by_token, &post, anon, "", "{}", (400, "refresh_token_not_found")),
        (
            "/token?grant_type=pkce",
            &post,
            anon,
            "",
            "{}",
            (400, "validation_failed"),
        ),
        ("/user", &get, anon, "", "", (401, "no_authorization")),
        ("/user", &get, anon, "nonsense", "", (403, "bad_jwt")),
        ("/admin/users", &get, anon, "", "", (404, "not_found")),
    ] {
        let (status, code, body) = ask(&stage.auth(path), method.clone(), key, bearer, body).await;
        assert_eq!((status, code.as_str()), expected, "{path}: {body}");
    }
    let settings = ask(&stage.auth("/settings"), get, anon, "", "").await.2;
    assert_eq!(
        (&settings["disable_signup"], &settings["external"]["email"]),
        (&json!(true), &json!(true))
    );
    let preflight = client()
        .request(Method::OPTIONS, stage.auth(by_password))
        .header("origin", "https://app.example.org")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "apikey,x-client-info");
    let preflight = preflight.send().await.unwrap();
    assert_eq!(preflight.status(), StatusCode::OK);
    assert_eq!(
        preflight.headers()["access-control-allow-headers"],
        "apikey,x-client-info"
    );
}

#[tokio::test]
async fn where_a_platform_keeps_the_identities_signing_in_says_so() {
    let db = TestDb::empty().await;
    let platform = "create schema auth;
        create table auth.users (id uuid primary key, email varchar(255), encrypted_password varchar(255),
          email_confirmed_at timestamptz, last_sign_in_at timestamptz, created_at timestamptz default now(),
          is_sso_user boolean not null default false);
        create function auth.uid() returns uuid language sql stable as
          $$ select nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid $$";
    sqlx::raw_sql(platform).execute(db.admin_pool()).await.unwrap();
    let program = Program::on(&db);
    let up = program.run(&["migration", "up"]).await;
    assert_eq!(up.code, 0, "{up:?}");
    let server = Server::serve(&program).await;
    let anon = text(&program.json(&["keys"]).await, "/anon_key");
    let url = format!("http://{}/auth/v1/token?grant_type=password", server.address);
    let credentials = json!({"email": EMAIL, "password": PASSWORD}).to_string();
    let (status, code, body) = ask(&url, Method::POST, &anon, "", &credentials).await;
    assert_eq!(
        (status, code.as_str()),
        (422, "email_provider_disabled"),
        "{body}"
    );
    assert!(text(&body, "/msg").contains("Sign in there"), "{body}");
    let native = format!("http://{}/api/v1/auth/sign-in", server.address);
    let (status, _, body) = ask(&native, Method::POST, "", "", &credentials).await;
    assert_eq!(
        (status, text(&body, "/code").as_str()),
        (422, "signs_in_elsewhere"),
        "{body}"
    );
}
