//! `postgres_changes` with Supabase's own client: everybody hears what they may read, and nothing else.

use crate::gyms;
use crate::program::{Program, text};
use crate::server::Server;
use crate::supabase_js::run;
use jarvis_testkit::TestDb;
use serde_json::{Value, json};
use sqlx::Executor as _;

/// Cuts the connections that listen, as somebody who may do so.
const CUT: &str = "create function public.cut_listeners() returns bigint language sql security definer as
  $$ select count(pg_terminate_backend(pid)) from pg_stat_activity
      where datname = current_database() and application_name = 'jarvis-listener' $$;
  grant execute on function public.cut_listeners() to service_role;
  notify pgrst, 'reload schema'";
/// A session of Sophie's, for a summary.
const SESSION: &str =
    "insert into public.conversation_sessions (session_id, member_id, gym_id, state, started_at, ended_at)
     select 'listened', id, gym_id, 'processed', now(), now() from public.gym_members_v2 where first_name = 'Sophie'";

/// What somebody heard: the kind, and the key of the fact.
fn facts(told: &Value, who: &str) -> Vec<String> {
    let heard = told["heard"][who].as_array().expect("they listened");
    let name = |one: &Value| {
        let row = if one["eventType"] == "DELETE" {
            &one["old"]
        } else {
            &one["new"]
        };
        let key = row["fact_key"].as_str().or_else(|| row["id"].as_str());
        format!("{} {}", text(one, "/eventType"), key.unwrap_or_default())
    };
    heard
        .iter()
        .filter(|one| one["table"] == "member_facts")
        .map(name)
        .collect()
}

/// The counts of visits that somebody heard of.
fn visits(told: &Value, who: &str) -> Vec<i64> {
    let heard = told["heard"][who].as_array().expect("they listened");
    heard
        .iter()
        .filter_map(|one| one["new"]["total_visits"].as_i64())
        .collect()
}

/// What everybody heard, and the server's log.
async fn listened() -> Option<(Value, String)> {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let lyon = gyms::gym(&program, "lyon").await;
    gyms::gym(&program, "paris").await;
    let sophie = gyms::member(&program, "lyon", "BADGE_001", "Sophie", gyms::EVERYTHING).await;
    let paul = gyms::member(&program, "paris", "BADGE_001", "Paul", gyms::EVERYTHING).await;
    let mut people = Vec::new();
    for (variable, email, role, gym) in [
        ("CLAIRE", "claire@example.org", "gym_manager", "lyon"),
        ("HUGO", "hugo@example.org", "gym_staff", "lyon"),
        ("PAULA", "paula@example.org", "gym_manager", "paris"),
    ] {
        let password = gyms::person(&program, email, role, &[gym]).await;
        people.push((variable, format!("{email} {password}")));
    }
    db.admin_pool().execute(CUT).await.unwrap();
    db.admin_pool().execute(SESSION).await.unwrap();
    let server = Server::serve(&program).await;
    let keys = program.json(&["keys"]).await;
    let (anon, service) = (text(&keys, "/anon_key"), text(&keys, "/service_role_key"));
    let url = format!("http://{}", server.address);
    let mut variables = vec![
        ("SUPABASE_URL", url.as_str()),
        ("SUPABASE_ANON_KEY", anon.as_str()),
        ("SERVICE_KEY", service.as_str()),
        ("LYON", lyon.as_str()),
        ("SOPHIE", sophie.as_str()),
        ("PAUL", paul.as_str()),
        ("SESSION", "listened"),
    ];
    variables.extend(people.iter().map(|(name, value)| (*name, value.as_str())));
    let told = run("changes.mjs", &variables).await?;
    Some((told, server.log.so_far()))
}

#[tokio::test]
async fn everybody_hears_of_the_rows_that_they_may_read_and_of_no_others() {
    let Some((told, log)) = listened().await else {
        return;
    };
    let deleted = format!("DELETE {}", text(&told, "/goal"));
    let goal = ["INSERT marathon", "UPDATE marathon", deleted.as_str()];
    let mut manager = vec!["INSERT knee_pain"];
    manager.extend(goal);
    manager.extend(["INSERT after", "INSERT recovered"]);
    assert_eq!(facts(&told, "manager"), manager);
    assert_eq!(
        facts(&told, "staff"),
        goal,
        "no health for the staff, and nothing once switched off"
    );
    assert_eq!(told["after_rights"], 0);
    assert_eq!(facts(&told, "paris"), ["INSERT of_paris"], "the other gym");

    let anonymous = text(&told, "/statuses/anon/0");
    assert!(anonymous.starts_with("CHANNEL_ERROR Unauthorized"), "{anonymous}");
    assert_eq!(told["heard"]["anon"], json!([]));
    for (refused, what) in [
        ("no_table", "table"),
        ("hidden_schema", "schema"),
        ("no_value", "invalid input syntax"),
        ("no_comparison", "filter: one of"),
        ("vector", "filter: no such column"),
    ] {
        let words = text(&told, &format!("/statuses/{refused}/0"));
        let begun = format!("CHANNEL_ERROR InvalidPostgresChanges: {what}");
        assert!(words.starts_with(&begun), "{words}");
    }

    for (filter, heard) in [
        ("eq", vec![7, 7]),
        ("neq", vec![6, 8]),
        ("lt", vec![6]),
        ("lte", vec![6, 7, 7]),
        ("gt", vec![8]),
        ("gte", vec![7, 8, 7]),
        ("in", vec![6, 8]),
    ] {
        assert_eq!(visits(&told, filter), heard, "{filter}");
    }

    let everything = facts(&told, "everything");
    assert_eq!(
        everything[..3],
        ["INSERT knee_pain", "INSERT marathon", deleted.as_str()]
    );

    // A DELETE carries the key alone, an UPDATE the key of what was, and no message a vector.
    let change = &told["heard"]["manager"][3];
    assert_eq!(change["old"], json!({"id": told["goal"]}));
    assert_eq!(change["new"], json!({}));
    assert_eq!(change["schema"], "public");
    assert_eq!(change["errors"], Value::Null);
    let updated = &told["heard"]["manager"][2];
    assert_eq!(updated["old"], json!({"id": told["goal"]}));
    assert_eq!(updated["new"]["fact_value"], json!({"km": 21}));
    assert_eq!(told["written"]["error"], Value::Null, "{told:#}");
    let summary = &told["heard"]["service"][0];
    assert_eq!(summary["new"]["session_id"], "listened");
    assert!(summary["new"].get("embedding").is_none(), "{summary:#}");
    assert!(!summary.to_string().contains("0,0,0"), "{summary:#}");

    let system: Vec<&str> = told["system"]["manager"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(system[0], "ok Subscribed to PostgreSQL");
    assert!(system[1].starts_with("error PostgresChangesLost"), "{system:?}");
    assert_eq!(system[2], "ok Subscribed to PostgreSQL");
    for secret in ["right_knee", "marathon", "Marathon"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
