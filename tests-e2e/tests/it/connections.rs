//! Connections that say nothing, too much or nonsense; the others do not notice.

use crate::device::Caller;
use crate::program::Program;
use crate::server::Server;
use jarvis_testkit::TestDb;
use reqwest::StatusCode;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything here may take.
const END: Duration = Duration::from_secs(45);

/// Sends these bytes and reads until the server closes.
async fn exchange(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    // The server may close before it read everything.
    drop(stream.write_all(bytes).await);
    let mut answer = Vec::new();
    let read = timeout(END, stream.read_to_end(&mut answer)).await;
    drop(read.expect("the server closes the connection"));
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}

async fn is_well(server: &Server) {
    let (status, _) = Caller::new(&server.address, "").get("/healthz").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_refused_and_the_server_goes_on() {
    let db = TestDb::new().await;
    let server = Server::serve(&Program::on(&db)).await;
    let header = |count: usize| {
        "GET /healthz HTTP/1.1\r\nhost: x\r\n".to_owned()
            + &"a: b\r\n".repeat(count)
            + "connection: close\r\n\r\n"
    };
    for (bytes, expected) in [
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            "HTTP/1.1 400",
        ),
        (b"GET / HTTP/9.9\r\n\r\n".to_vec(), "HTTP/1.1 400"),
        (b"\0\0\0\0\r\n\r\n".to_vec(), "HTTP/1.1 400"),
        (
            b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n".to_vec(),
            "HTTP/1.1 400",
        ),
        (
            b"POST /api/v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"
                .to_vec(),
            "HTTP/1.1 400",
        ),
        (
            b"POST /api/v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".to_vec(),
            "HTTP/1.1 400",
        ),
        (header(150).into_bytes(), "HTTP/1.1 431"),
        (header(300).into_bytes(), "HTTP/1.1 431"),
        (
            format!(
                "GET /healthz?{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
                "x".repeat(40_000)
            )
            .into_bytes(),
            "HTTP/1.1 414",
        ),
        (
            format!("GET /healthz?{} HTTP/1.1\r\n\r\n", "x".repeat(200_000)).into_bytes(),
            "HTTP/1.1 4",
        ),
    ] {
        let answer = exchange(&server, &bytes).await;
        let shown: String = String::from_utf8_lossy(&bytes).chars().take(80).collect();
        assert!(
            status(&answer).starts_with(expected),
            "{shown:?}: {}",
            status(&answer)
        );
    }
    // Nonsense after a good request does not spoil its answer.
    let piped = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n\x00\x01nonsense\r\n\r\n";
    let answer = exchange(&server, piped).await;
    assert!(status(&answer).starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("HTTP/1.1 400"), "{answer}");
    is_well(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_are_closed_and_keep_nobody_out() {
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    program.set("JARVIS_MAX_CONNECTIONS", "8");
    let server = Server::serve(&program).await;
    let begun = Instant::now();
    let half_a_body = b"POST /api/v1/auth/sign-in HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    let mut silent = Vec::new();
    for start in [b"GET /healthz HTT".as_slice(), half_a_body]
        .into_iter()
        .cycle()
        .take(8)
    {
        silent.push(exchange(&server, start));
    }
    let silent = tokio::join!(futures(silent), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let busy = exchange(&server, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(status(&busy).starts_with("HTTP/1.1 503"), "{busy}");
        assert!(
            busy.contains("\"code\":\"overloaded\"") && busy.contains("retry-after: 2"),
            "{busy}"
        );
        // Bodies that stopped arriving are given up first.
        tokio::time::sleep(Duration::from_secs(11)).await;
        is_well(&server).await;
    })
    .0;
    let (given_up, closed): (Vec<_>, Vec<_>) = silent.into_iter().partition(|answer| !answer.is_empty());
    assert_eq!((given_up.len(), closed.len()), (4, 4));
    for answer in given_up {
        assert!(status(&answer).starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("\"code\":\"request_timeout\""), "{answer}");
    }
    assert!(
        (29..40).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
    is_well(&server).await;
}

async fn futures<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    futures_util::future::join_all(all).await
}
