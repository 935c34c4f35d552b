//! Facts over HTTP: staff read what is no health, managers keep them in order.

use crate::world::{World, answer};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const KNEE: &str = "J'ai mal au genou droit depuis janvier, plus de squats pour moi";

struct Desk {
    world: World,
    manager: String,
    facts: String,
}

impl Desk {
    async fn new() -> Self {
        let world = World::new().await;
        world
            .conversation(&[KNEE, "Je préfère m'entraîner le matin"])
            .await;
        let manager = world.manager_a().await;
        let facts = format!("/api/v1/members/{}/facts", world.camille);
        Self {
            world,
            manager,
            facts,
        }
    }

    async fn ask(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> crate::world::Answer {
        let mut request = self.world.request(method, path).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await
    }

    async fn manage(&self, method: Method, path: &str, body: Option<Value>) -> crate::world::Answer {
        self.ask(&self.manager, method, path, body).await
    }

    async fn keys(&self, token: &str) -> Vec<String> {
        let listed = self.ask(token, Method::GET, &self.facts, None).await;
        assert_eq!(listed.status, StatusCode::OK, "{}", listed.body);
        listed.body["facts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["fact"]["fact_key"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test]
async fn staff_see_facts_without_health_and_change_none() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let staff = world.token_of(world.person("staff-a", "gym_staff", &[world.gym_a], true).await);
    assert_eq!(
        desk.keys(&desk.manager).await,
        ["knee_right_pain", "training_time"]
    );
    assert_eq!(desk.keys(&staff).await, ["training_time"]);
    let as_of = format!("{}?as_of=2100-01-01", desk.facts);
    desk.ask(&staff, Method::GET, &as_of, None)
        .await
        .is_problem(403, "forbidden");
    let new = json!({"category": "goal", "fact_key": "lose_weight", "fact_value": {"target": 5}});
    desk.ask(&staff, Method::POST, &desk.facts, Some(new))
        .await
        .is_problem(403, "forbidden");
    let stranger = world.token_of(
        world
            .person("manager-b", "gym_manager", &[world.gym_b], true)
            .await,
    );
    desk.ask(&stranger, Method::GET, &desk.facts, None)
        .await
        .is_problem(404, "member_not_found");
}

#[tokio::test]
async fn a_manager_states_corrects_confirms_retires_and_reads_the_past() {
    let desk = Desk::new().await;
    let new = json!({"category": "goal", "fact_key": "lose_weight", "fact_value": {"target": 5}});
    let stored = desk.manage(Method::POST, &desk.facts, Some(new)).await;
    assert_eq!(stored.status, StatusCode::CREATED, "{}", stored.body);
    assert_eq!(stored.body["fact"]["slot"], "goal.lose_weight");
    let path = format!("/api/v1/facts/{}", stored.body["fact"]["id"].as_str().unwrap());
    let corrected = desk
        .manage(
            Method::PATCH,
            &path,
            Some(json!({"fact_value": {"target": 3}, "confidence": 0.9})),
        )
        .await;
    assert_eq!(
        corrected.body["fact"]["fact_value"]["target"], 3,
        "{}",
        corrected.body
    );
    let confirmed = desk.manage(Method::POST, &format!("{path}/confirm"), None).await;
    assert_eq!(confirmed.body["fact"]["times_confirmed"], 2, "{}", confirmed.body);
    let retired = desk.manage(Method::POST, &format!("{path}/retire"), None).await;
    assert_eq!(retired.body["life"], "retired", "{}", retired.body);
    for (query, rule) in [
        ("as_of=yesterday", "as_of: must be a day"),
        ("all=maybe", "all: must be true"),
    ] {
        let refused = desk
            .manage(Method::GET, &format!("{}?{query}", desk.facts), None)
            .await;
        refused.is_problem(400, "invalid_request");
        assert!(
            refused.body["detail"].as_str().unwrap().starts_with(rule),
            "{}",
            refused.body
        );
    }
    let past = desk
        .manage(
            Method::GET,
            &format!("{}?as_of=2100-01-01&all=true", desk.facts),
            None,
        )
        .await;
    let targets: Vec<_> = past.body["facts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["fact"]["category"] == "goal")
        .map(|f| f["fact"]["fact_value"]["target"].clone())
        .collect();
    assert_eq!(targets, [json!(3)], "{}", past.body);
    let none = desk
        .manage(Method::GET, &format!("{}?as_of=2020-01-01", desk.facts), None)
        .await;
    assert_eq!(none.body["facts"], json!([]));
    let history = desk
        .manage(Method::GET, &format!("{}/history", desk.facts), None)
        .await;
    let told: Vec<_> = history.body["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["category"] == "goal")
        .map(|c| c["operation"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        told,
        ["insert", "update", "confirm", "retire"],
        "{}",
        history.body
    );
    let bad = json!({"category": "goal", "fact_key": "Lose Weight", "fact_value": {}});
    desk.manage(Method::POST, &desk.facts, Some(bad))
        .await
        .is_problem(400, "invalid_request");
}

#[tokio::test]
async fn a_manager_reviews_merges_and_forgets_in_their_own_gym_only() {
    let desk = Desk::new().await;
    let world = &desk.world;
    for (key, value) in [
        ("genou_droit", json!({})),
        ("bobo_bizarre", json!({"detail": "clic"})),
    ] {
        let new = json!({"category": "injury", "fact_key": key, "fact_value": value});
        assert_eq!(
            desk.manage(Method::POST, &desk.facts, Some(new)).await.status,
            StatusCode::CREATED
        );
    }
    let review = desk.manage(Method::GET, "/api/v1/facts/review", None).await;
    assert_eq!(review.body["items"][0]["why"], "unknown_key", "{}", review.body);
    assert_eq!(
        review.body["items"][0]["owned"]["fact"]["fact_key"],
        "bobo_bizarre"
    );
    let proposals = desk.manage(Method::GET, "/api/v1/fact-proposals", None).await;
    let proposal = &proposals.body["proposals"][0];
    assert_eq!(proposal["reason"], "same_slot", "{}", proposals.body);
    let stranger = world.token_of(
        world
            .person("manager-b", "gym_manager", &[world.gym_b], true)
            .await,
    );
    let decide = format!(
        "/api/v1/fact-proposals/{}/decide",
        proposal["id"].as_str().unwrap()
    );
    desk.ask(&stranger, Method::POST, &decide, Some(json!({"accept": true})))
        .await
        .is_problem(404, "fact_not_found");
    let decided = desk
        .manage(Method::POST, &decide, Some(json!({"accept": true})))
        .await;
    assert_eq!(decided.body["state"], "accepted", "{}", decided.body);
    desk.manage(Method::POST, &decide, Some(json!({"accept": false})))
        .await
        .is_problem(409, "proposal_decided");
    assert_eq!(
        desk.keys(&desk.manager).await,
        ["knee_right_pain", "bobo_bizarre", "training_time"]
    );

    let listed = desk.manage(Method::GET, &desk.facts, None).await;
    let knee = format!(
        "/api/v1/facts/{}",
        listed.body["facts"][0]["fact"]["id"].as_str().unwrap()
    );
    desk.ask(&stranger, Method::DELETE, &knee, None)
        .await
        .is_problem(404, "fact_not_found");
    let forgotten = desk.manage(Method::DELETE, &knee, None).await;
    assert_eq!(forgotten.status, StatusCode::ACCEPTED, "{}", forgotten.body);
    assert_eq!(forgotten.body["sessions"].as_array().unwrap().len(), 1);
    desk.manage(Method::DELETE, &knee, None)
        .await
        .is_problem(404, "fact_not_found");
    desk.manage(Method::DELETE, "/api/v1/facts/none", None)
        .await
        .is_problem(404, "fact_not_found");
}
