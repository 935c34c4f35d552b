//! Many gyms ask `/rest/v1` at once while every connection to the database is cut, again and again: each caller keeps to
//! their own role, claims and rows, and nobody has to help.

use crate::device::client;
use crate::gyms;
use crate::program::{Program, text};
use crate::server::Server;
use jarvis_testkit::TestDb;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sqlx::Executor as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const GYMS: usize = 5;
/// Callers of each key or person; the data API has ten connections.
const AT_ONCE: usize = 3;
const CUTS: usize = 8;
/// Cuts all connections to this database but the one that cuts.
const CUT: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                    where datname = current_database() and pid <> pg_backend_pid()";
/// Tells as whom the statement runs.
const WHO: &str = "create function public.who_asks() returns json language sql stable as
  $$ select json_build_object('role', current_user, 'sub', current_setting('request.jwt.claims', true)::json ->> 'sub') $$;
  grant execute on function public.who_asks() to anon, authenticated, service_role;
  notify pgrst, 'reload schema'";

/// A key or a person, and what each of two questions must be answered.
struct Asker {
    client: Client,
    key: String,
    bearer: String,
    who: Value,
    members: (StatusCode, Value),
}

#[derive(Default)]
struct Met {
    answered: AtomicUsize,
    turned_away: AtomicUsize,
}

impl Asker {
    async fn ask(&self, base: &str, path: &str) -> (StatusCode, Value) {
        let mut request = self
            .client
            .get(format!("{base}{path}"))
            .header("apikey", &self.key);
        if !self.bearer.is_empty() {
            request = request.bearer_auth(&self.bearer);
        }
        let response = request.send().await.expect("the server answers");
        let status = response.status();
        (status, response.json().await.expect("the answer is JSON"))
    }

    async fn insist(&self, base: &str, met: &Met, over: &AtomicBool) {
        let members = "/rest/v1/gym_members_v2?select=first_name&order=first_name";
        while !over.load(Ordering::Relaxed) {
            let (status, who) = self.ask(base, "/rest/v1/rpc/who_asks").await;
            met.note(status, &who, &(StatusCode::OK, self.who.clone()));
            let (status, mut rows) = self.ask(base, members).await;
            if status != StatusCode::OK {
                rows = rows["code"].clone();
            }
            met.note(status, &rows, &self.members);
        }
    }
}

impl Met {
    /// A statement that was under way on a connection that was cut may be tried again; nothing else may differ.
    fn note(&self, status: StatusCode, told: &Value, expected: &(StatusCode, Value)) {
        if status == StatusCode::SERVICE_UNAVAILABLE {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return;
        }
        assert_eq!((status, told), (expected.0, &expected.1));
        self.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// A manager of each gym, the anonymous key and the service key.
async fn askers(program: &Program) -> Vec<Asker> {
    let keys = program.json(&["keys"]).await;
    let (anon, service) = (text(&keys, "/anon_key"), text(&keys, "/service_role_key"));
    let (mut all, mut everybody) = (Vec::new(), Vec::new());
    for number in 0..GYMS {
        let (slug, name) = (format!("salle-{number}"), format!("Membre {number}"));
        gyms::gym(program, &slug).await;
        gyms::member(
            program,
            &slug,
            &format!("BADGE_{number}"),
            &name,
            gyms::EVERYTHING,
        )
        .await;
        let email = format!("manager-{number}@example.org");
        gyms::person(program, &email, "gym_manager", &[&slug]).await;
        let minted = program.json(&["token", "mint", "--user", &email]).await;
        all.push(Asker {
            client: client(),
            key: anon.clone(),
            bearer: text(&minted, "/access_token"),
            who: Value::Null,
            members: (StatusCode::OK, json!([{"first_name": name}])),
        });
        everybody.push(json!({"first_name": name}));
    }
    all.push(Asker {
        client: client(),
        key: anon,
        bearer: String::new(),
        who: json!({"role": "anon", "sub": null}),
        members: (StatusCode::UNAUTHORIZED, json!("42501")),
    });
    all.push(Asker {
        client: client(),
        key: service,
        bearer: String::new(),
        who: json!({"role": "service_role", "sub": null}),
        members: (StatusCode::OK, Value::Array(everybody)),
    });
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_under_many_tenants_leak_no_role_no_claim_and_no_row() {
    let db = TestDb::new().await;
    db.admin_pool().execute(WHO).await.unwrap();
    let program = Program::on(&db);
    let server = Server::serve(&program).await;
    let mut askers = askers(&program).await;
    let base = format!("http://{}", server.address);
    for asker in &mut askers {
        let (status, who) = asker.ask(&base, "/rest/v1/rpc/who_asks").await;
        assert_eq!(status, StatusCode::OK, "{who}");
        if asker.who.is_null() {
            assert!(who["role"] == "authenticated" && who["sub"].is_string(), "{who}");
            asker.who = who;
        }
    }
    let subjects: std::collections::BTreeSet<String> =
        askers.iter().map(|asker| asker.who["sub"].to_string()).collect();
    assert_eq!(subjects.len(), GYMS + 1, "each manager is somebody else");

    let (over, met) = (Arc::new(AtomicBool::new(false)), Arc::new(Met::default()));
    let askers: Vec<_> = askers.into_iter().map(Arc::new).collect();
    let calling: Vec<_> = askers
        .iter()
        .flat_map(|asker| std::iter::repeat_n(asker, AT_ONCE))
        .map(|asker| {
            let (asker, base) = (Arc::clone(asker), base.clone());
            let (over, met) = (Arc::clone(&over), Arc::clone(&met));
            tokio::spawn(async move { asker.insist(&base, &met, &over).await })
        })
        .collect();
    for _ in 0..CUTS {
        let before = met.answered.load(Ordering::Relaxed);
        db.admin_pool().execute(CUT).await.unwrap();
        let cut_at = Instant::now();
        while met.answered.load(Ordering::Relaxed) < before + 4 * calling.len() {
            assert!(cut_at.elapsed() < Duration::from_secs(30), "it does not recover");
            let failed = calling.iter().any(tokio::task::JoinHandle::is_finished);
            assert!(!failed, "a caller got a wrong answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    over.store(true, Ordering::Relaxed);
    for caller in calling {
        caller.await.unwrap();
    }
    let (answered, turned_away) = (
        met.answered.load(Ordering::Relaxed),
        met.turned_away.load(Ordering::Relaxed),
    );
    println!("{answered} answered, {turned_away} turned away, {CUTS} cuts");
    assert!(
        answered > turned_away,
        "{answered} answered, {turned_away} turned away"
    );
}
