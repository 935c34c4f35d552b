//! `/realtime/v1`: broadcasts with Supabase's own client, and by hand what no honest client does.

use crate::device::client;
use crate::gyms;
use crate::program::{Program, text};
use crate::server::Server;
use crate::supabase_js::run;
use futures_util::{SinkExt as _, StreamExt as _};
use jarvis_testkit::TestDb;
use jsonwebtoken::{EncodingKey, Header, get_current_timestamp};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const SECRET: &str = "a-secret-that-only-this-test-knows-of";
/// The clocks of two machines may differ by so many seconds.
const LEEWAY: i64 = 30;

/// A server with the gyms `lyon` and `paris`.
struct Stage {
    db: TestDb,
    program: Program,
    server: Server,
    keys: Value,
}

impl Stage {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let mut program = Program::on(&db);
        program.set("JARVIS_JWT_SECRET", SECRET);
        for slug in ["lyon", "paris"] {
            gyms::gym(&program, slug).await;
        }
        let server = Server::serve(&program).await;
        let keys = program.json(&["keys"]).await;
        Self {
            db,
            program,
            server,
            keys,
        }
    }

    async fn person(&self, email: &str, role: &str, gyms: &[&str]) -> String {
        let password = gyms::person(&self.program, email, role, gyms).await;
        format!("{email} {password}")
    }

    /// A token of a manager of Lyon, as a project's GoTrue signs them, good for `seconds` from now.
    async fn token(&self, email: &str, seconds: i64) -> String {
        self.person(email, "gym_manager", &["lyon"]).await;
        let id: uuid::Uuid = sqlx::query_scalar("select id from public.users where email = $1")
            .bind(email)
            .fetch_one(self.db.admin_pool())
            .await
            .unwrap();
        let until = i64::try_from(get_current_timestamp()).unwrap() + seconds;
        let claims = json!({"sub": id, "role": "authenticated", "exp": until});
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
    }

    async fn connect(&self) -> Socket {
        let key = text(&self.keys, "/anon_key");
        let url = format!(
            "ws://{}/realtime/v1/websocket?apikey={key}&vsn=2.0.0",
            self.server.address
        );
        Socket(tokio_tungstenite::connect_async(url).await.unwrap().0)
    }

    /// Says something of `size` bytes in a channel of Lyon, as a server does.
    async fn say(&self, size: usize) -> u16 {
        let body =
            json!({"messages": [{"topic": "gym:lyon:desk", "event": "x", "payload": "x".repeat(size)}]});
        let url = format!("http://{}/realtime/v1/api/broadcast", self.server.address);
        let request = client()
            .post(url)
            .header("apikey", text(&self.keys, "/service_role_key"));
        request.json(&body).send().await.unwrap().status().as_u16()
    }
}

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn push(&mut self, topic: &str, event: &str, payload: Value) {
        let message = json!(["1", "2", topic, event, payload]).to_string();
        self.0.send(Message::text(message)).await.unwrap();
    }

    async fn join(&mut self, topic: &str, token: &str) -> Value {
        let config = json!({"broadcast": {"ack": true, "self": false}});
        let payload = json!({"config": config, "access_token": token});
        self.push(topic, "phx_join", payload).await;
        let reply = self.next().await;
        if reply[4]["status"] == "ok" {
            assert_eq!(self.next().await[3], "presence_state");
        }
        reply[4].clone()
    }

    /// What comes next, within a minute.
    async fn next(&mut self) -> Value {
        match self.message().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            Message::Close(frame) => json!(["closed", frame.map(|frame| u16::from(frame.code))]),
            other => panic!("{other:?}"),
        }
    }

    async fn message(&mut self) -> Message {
        let next = tokio::time::timeout(Duration::from_mins(1), self.0.next());
        next.await.expect("something comes").unwrap().unwrap()
    }

    /// The channel ends, and says why.
    async fn ends(&mut self, event: &str) -> String {
        let told = self.next().await;
        assert_eq!(
            (&told[3], &told[4]["status"]),
            (&json!("system"), &json!("error")),
            "{told}"
        );
        assert_eq!(self.next().await[3], event);
        text(&told, "/4/message")
    }
}

#[tokio::test]
async fn people_of_a_gym_hear_each_other_and_nobody_else() {
    let stage = Stage::new().await;
    let people = [
        stage.person("claire@example.org", "gym_manager", &["lyon"]).await,
        stage.person("hugo@example.org", "gym_staff", &["lyon"]).await,
        stage.person("paula@example.org", "gym_manager", &["paris"]).await,
        stage
            .person("owner@example.org", "gym_manager", &["lyon", "paris"])
            .await,
    ];
    let url = format!("http://{}", stage.server.address);
    let (anon, service) = (
        text(&stage.keys, "/anon_key"),
        text(&stage.keys, "/service_role_key"),
    );
    let variables = [
        ("SUPABASE_URL", url.as_str()),
        ("SUPABASE_ANON_KEY", anon.as_str()),
        ("SERVICE_KEY", service.as_str()),
        ("CLAIRE", people[0].as_str()),
        ("HUGO", people[1].as_str()),
        ("PAULA", people[2].as_str()),
        ("EVERYWHERE", people[3].as_str()),
    ];
    let Some(told) = run("broadcasts.mjs", &variables).await else {
        return;
    };
    for who in ["claire", "hugo", "paula", "owner", "owner_paris"] {
        assert_eq!(told[format!("{who}_joins")], "SUBSCRIBED", "{told:#}");
    }
    let arrived = json!(["arrived", {"badge": "é"}]);
    let (bytes, service) = (json!(["bytes", [0, 255]]), json!(["service", [7]]));
    let (hugo, http, batch) = (
        json!(["from_hugo", {"n": 1}]),
        json!(["over_http", {"n": 2}]),
        json!(["batch", {"n": 3}]),
    );
    let all = json!([arrived, bytes, hugo, http, service, batch]);
    let heard = &told["heard"];
    assert_eq!((&heard["claire"], &heard["owner"]), (&all, &all), "{told:#}");
    // Version 1.0.0 has no form for bytes; nobody hears themselves unless they ask for it.
    assert_eq!(heard["hugo"], json!([arrived, http, batch, ["later", {}]]));
    assert_eq!(heard["paula"], json!([]), "the other gym");
    assert_eq!(heard["owner_paris"], json!([["paris", {}]]));
    for said in [
        "acknowledged",
        "bytes",
        "of_version_one",
        "in_paris",
        "left",
        "after_leaving",
    ] {
        assert_eq!(told[said], "ok", "{said}: {told:#}");
    }
    for (refused, code) in [
        ("owner_without_gym", "GymRequired"),
        ("paula_in_lyon", "Unauthorized: no such gym"),
        ("nobody", "Unauthorized: sign in"),
    ] {
        let words = text(&told, &format!("/{refused}"));
        assert!(words.starts_with(&format!("CHANNEL_ERROR {code}")), "{words}");
    }
    assert_eq!(told["presence"], "error");
    for sent in ["over_http", "of_the_service"] {
        assert_eq!(told[sent], json!({"success": true}));
    }
    assert_eq!(told["batch"], 202);
    assert!(text(&told, "/of_nobody").starts_with("Unauthorized"), "{told:#}");
    let log = stage.server.log.so_far();
    for secret in ["arrived", anon.as_str(), "badge"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_channel_ends_with_its_token_and_with_the_rights_of_its_person() {
    let stage = Stage::new().await;
    let lasting = stage.token("claire@example.org", 3_600).await;
    let short = stage.token("hugo@example.org", 3 - LEEWAY).await;
    let mut socket = stage.connect().await;
    assert_eq!(socket.join("realtime:short", &short).await["status"], "ok");
    let why = socket.ends("phx_close").await;
    assert!(why.starts_with("InvalidToken: Token has expired"), "{why}");
    let again = socket.join("realtime:short", &short).await;
    assert_eq!(again["response"]["reason"], "InvalidToken: JWT expired");

    for topic in ["realtime:one", "realtime:two"] {
        assert_eq!(socket.join(topic, &lasting).await["status"], "ok");
    }
    socket
        .push("realtime:one", "access_token", json!({"access_token": lasting}))
        .await;
    socket.push("phoenix", "heartbeat", json!({})).await;
    assert_eq!(
        socket.next().await[4]["status"],
        "ok",
        "a fresh token changes nothing"
    );
    socket
        .push("realtime:one", "access_token", json!({"access_token": "x.y.z"}))
        .await;
    assert!(socket.ends("phx_close").await.starts_with("InvalidToken"));
    sqlx::query("update public.users set is_active = false where email = 'claire@example.org'")
        .execute(stage.db.admin_pool())
        .await
        .unwrap();
    // Nobody asks: the server looks by itself.
    assert!(socket.ends("phx_close").await.starts_with("Unauthorized"));
    let reply = socket.join("realtime:two", &lasting).await;
    assert_eq!(reply["status"], "error", "{reply}");
}

#[tokio::test]
async fn what_is_too_much_is_refused_in_words() {
    let stage = Stage::new().await;
    let token = stage.token("claire@example.org", 3_600).await;
    let mut socket = stage.connect().await;
    assert_eq!(socket.join("realtime:desk", &token).await["status"], "ok");
    let large = json!({"type": "broadcast", "event": "x", "payload": "x".repeat(256 * 1024)});
    socket.push("realtime:desk", "broadcast", large).await;
    let reason = text(&socket.next().await, "/4/response/reason");
    assert!(reason.starts_with("PayloadTooLarge"), "{reason}");
    socket
        .push("realtime:other", "broadcast", json!({"event": "x"}))
        .await;
    assert_eq!(socket.next().await[4]["response"]["reason"], "unmatched topic");
    socket
        .push("realtime:desk", "broadcast", json!({"payload": 1}))
        .await;
    let reason = text(&socket.next().await, "/4/response/reason");
    assert!(reason.starts_with("InvalidPayload"), "{reason}");
    for number in 1..100 {
        // Slower than the limit of messages.
        tokio::time::sleep(Duration::from_millis(15)).await;
        let reply = socket.join(&format!("realtime:{number}"), &token).await;
        assert_eq!(reply["status"], "ok", "{reply}");
    }
    let reply = socket.join("realtime:100", &token).await;
    let reason = text(&reply, "/response/reason");
    assert!(reason.starts_with("ChannelRateLimitReached"), "{reason}");

    let mut flood = stage.connect().await;
    assert_eq!(flood.join("realtime:desk", &token).await["status"], "ok");
    for _ in 0..400 {
        // The server may be gone already: that is what is asked for.
        let said = json!(["1", null, "realtime:desk", "broadcast", {"event": "x"}]);
        let _sent = flood.0.send(Message::text(said.to_string())).await;
    }
    let mut told = Vec::new();
    while told.last().is_none_or(|last: &Value| last[0] != "closed") {
        told.push(flood.next().await);
    }
    let system = told
        .iter()
        .find(|one| one[3] == "system")
        .expect("it is told why");
    let reason = text(system, "/4/message");
    assert!(
        reason.starts_with("MessagesPerSecondRateLimitReached"),
        "{reason}"
    );
    assert_eq!(told.last().unwrap()[1], 1008);

    for (query, status) in [("vsn=2.0.0", 401), ("apikey=nonsense", 401), ("vsn=3.0.0", 400)] {
        let url = format!("ws://{}/realtime/v1/websocket?{query}", stage.server.address);
        let Err(tungstenite::Error::Http(response)) = tokio_tungstenite::connect_async(url).await else {
            panic!("{query} is refused");
        };
        assert_eq!(response.status().as_u16(), status, "{query}");
    }
    let mut broken = stage.connect().await;
    broken.0.send(Message::text("[1]")).await.unwrap();
    assert_eq!(broken.next().await, json!(["closed", 1002]));
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_and_holds_nobody_up() {
    let stage = Stage::new().await;
    let token = stage.token("claire@example.org", 3_600).await;
    let (mut slow, mut quick) = (stage.connect().await, stage.connect().await);
    for socket in [&mut slow, &mut quick] {
        assert_eq!(socket.join("realtime:desk", &token).await["status"], "ok");
    }
    // More than the buffers of both ends and the queue hold.
    for number in 0..160 {
        assert_eq!(stage.say(200_000).await, 202, "{number}");
        assert_eq!(quick.next().await[3], "broadcast", "{number}");
    }
    let mut read = 0;
    // What was on its way is still read; then the connection is over.
    while let Some(Ok(message)) = tokio::time::timeout(Duration::from_mins(1), slow.0.next())
        .await
        .expect("it ends")
    {
        if message.is_close() {
            break;
        }
        read += 1;
    }
    assert!(read < 160, "{read} messages were kept for who does not read");
}

#[tokio::test]
async fn the_server_says_goodbye_when_it_stops() {
    let stage = Stage::new().await;
    let token = stage.token("claire@example.org", 3_600).await;
    let mut socket = stage.connect().await;
    assert_eq!(socket.join("realtime:desk", &token).await["status"], "ok");
    stage.server.send(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(socket.next().await, json!(["closed", 1001]));
}
