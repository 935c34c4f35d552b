use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jarvis_llm::fake::{FakeOpenAi, Fault};
use jarvis_llm::{
    Backoff, Chat, LlmError, LlmErrorKind, ModelRegistry, OpenAi, OpenAiConfig, StructuredReply,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{SAID, client, good_completion, question, quick, start_fake};

async fn ask(fake: &FakeOpenAi) -> Result<StructuredReply, LlmError> {
    client(&fake.base_url()).structured(&question()).await
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_until_the_answer_comes() {
    for status in [408, 409, 429, 500, 502, 503, 504] {
        let fake = start_fake().await;
        fake.fault(Fault::status(status));
        fake.fault(Fault::status(status));
        ask(&fake).await.unwrap();
        let requests = fake.requests();
        assert_eq!(requests.len(), 3, "{status}");
        assert_eq!(requests[0], requests[2], "the same request each time");
    }
}

#[tokio::test]
async fn after_the_last_try_the_error_says_how_often_it_was_tried() {
    let fake = start_fake().await;
    for _ in 0..5 {
        fake.fault(Fault::status(429));
    }
    let error = ask(&fake).await.unwrap_err();
    assert_eq!((&error.kind, error.attempts), (&LlmErrorKind::RateLimited, 3));
    assert_eq!(error.request_id.as_deref(), Some("req_fake_3"));
    assert!(error.is_retryable());
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test]
async fn a_lasting_failure_is_not_tried_again() {
    for (status, code, name) in [
        (400, "context_length_exceeded", "rejected"),
        (401, "invalid_api_key", "unauthorized"),
        (403, "country", "unauthorized"),
        (404, "model_not_found", "rejected"),
        (422, "unprocessable", "rejected"),
        (429, "insufficient_quota", "quota_exhausted"),
    ] {
        let fake = start_fake().await;
        fake.fault(Fault::status(status).with_code(code));
        let error = ask(&fake).await.unwrap_err();
        assert_eq!(
            (error.kind.code(), error.attempts, error.is_retryable()),
            (name, 1, false),
            "{status}"
        );
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test]
async fn no_quota_stays_permanent_whatever_the_headers_say() {
    let fake = start_fake().await;
    fake.fault(
        Fault::status(429)
            .with_code("insufficient_quota")
            .with_header("x-should-retry", "true")
            .with_header("retry-after", "1"),
    );
    let error = ask(&fake).await.unwrap_err();
    assert_eq!(
        (error.kind, error.retry_after, error.attempts),
        (LlmErrorKind::QuotaExhausted, None, 1)
    );
}

#[tokio::test]
async fn the_provider_can_ask_for_a_retry_and_forbid_one() {
    let fake = start_fake().await;
    fake.fault(Fault::status(400).with_header("x-should-retry", "true"));
    ask(&fake).await.unwrap();
    fake.fault(Fault::status(503).with_header("x-should-retry", "false"));
    assert_eq!(ask(&fake).await.unwrap_err().attempts, 1);
}

#[tokio::test]
async fn the_wait_the_provider_names_is_kept() {
    let fake = start_fake().await;
    for (name, value) in [("retry-after-ms", "300"), ("retry-after", "0.3")] {
        fake.fault(Fault::status(429).with_header(name, value));
        let start = Instant::now();
        ask(&fake).await.unwrap();
        let waited = start.elapsed();
        assert!(waited >= Duration::from_millis(300), "{name}: {waited:?}");
    }
}

#[tokio::test]
async fn a_wait_of_more_than_two_minutes_is_left_to_the_caller() {
    let fake = start_fake().await;
    fake.fault(
        Fault::status(429)
            .with_header("retry-after", "121")
            .with_header("x-should-retry", "true"),
    );
    let error = ask(&fake).await.unwrap_err();
    assert_eq!(
        (error.attempts, error.retry_after),
        (1, Some(Duration::from_secs(121)))
    );
    assert!(error.is_retryable());
}

#[tokio::test]
async fn without_a_named_wait_chance_shortens_the_back_off_once_per_retry() {
    let fake = start_fake().await;
    fake.fault(Fault::status(500));
    fake.fault(Fault::status(500));
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let config = OpenAiConfig {
        backoff: Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_millis(100),
        },
        jitter: Arc::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            1.0
        }),
        ..quick(&fake.base_url())
    };
    let client = OpenAi::new(config, ModelRegistry::defaults().into()).unwrap();
    let start = Instant::now();
    client.structured(&question()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_server_that_is_too_slow_is_a_timeout() {
    let fake = start_fake().await;
    for _ in 0..2 {
        fake.fault(Fault::delay(Duration::from_secs(30)));
    }
    let config = OpenAiConfig {
        timeout: Duration::from_millis(150),
        max_retries: 1,
        ..quick(&fake.base_url())
    };
    let client = OpenAi::new(config, ModelRegistry::defaults().into()).unwrap();
    let error = client.structured(&question()).await.unwrap_err();
    assert_eq!(
        (&error.kind, error.attempts, error.is_retryable()),
        (&LlmErrorKind::Timeout, 2, true)
    );
    client.structured(&question()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_connection_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client(&format!("http://{address}/v1"))
        .structured(&question())
        .await
        .unwrap_err();
    assert_eq!(
        (&error.kind, error.attempts, error.is_retryable()),
        (&LlmErrorKind::Connection, 3, true)
    );
    assert!(
        !format!("{error} {error:?}").contains(&address.to_string()),
        "the address may be private"
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let body = good_completion().to_string();
    let server = tokio::spawn(async move {
        for sent in [body.len() / 2, body.len()] {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let read = socket.read(&mut request).await.unwrap();
            assert!(read > 0);
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(&body.as_bytes()[..sent]).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    });
    let reply = client(&format!("http://{address}"))
        .structured(&question())
        .await
        .unwrap();
    assert_eq!(reply.value["mood"], "bad");
    server.await.unwrap();
}

#[tokio::test]
async fn a_redirect_is_not_followed_so_that_no_word_goes_to_another_host() {
    let elsewhere = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200))
        .expect(0)
        .mount(&elsewhere)
        .await;
    let server = MockServer::start().await;
    Mock::given(path("/chat/completions"))
        .respond_with(ResponseTemplate::new(307).insert_header("location", elsewhere.uri().as_str()))
        .mount(&server)
        .await;
    let error = client(&server.uri()).structured(&question()).await.unwrap_err();
    assert_eq!(
        error.kind,
        LlmErrorKind::Rejected {
            status: 307,
            code: None,
            retryable: false
        }
    );
}

#[tokio::test]
async fn the_words_of_the_provider_are_not_repeated_because_they_may_be_the_members() {
    let server = MockServer::start().await;
    let body = serde_json::json!({ "error": { "message": SAID, "code": SAID, "type": SAID } });
    Mock::given(any())
        .respond_with(
            ResponseTemplate::new(400)
                .set_body_json(body)
                .insert_header("x-request-id", SAID),
        )
        .mount(&server)
        .await;
    let error = client(&server.uri()).structured(&question()).await.unwrap_err();
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains("knee"), "{printed}");
    assert_eq!(
        error.kind,
        LlmErrorKind::Rejected {
            status: 400,
            code: None,
            retryable: false
        }
    );
}
