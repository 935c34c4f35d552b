//! As little of an HTTP client as may be, so that what is measured is the server: one request again and again.

use anyhow::{Context as _, bail, ensure};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The method.
    pub method: &'static str,
    /// The path and the query.
    pub path: String,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Asked {
    fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\nhost: {address}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            // Writing to a String cannot fail.
            let _ = write!(text, "{name}: {value}\r\n");
        }
        let _ = write!(text, "content-length: {}\r\n\r\n{}", self.body.len(), self.body);
        text.into_bytes()
    }
}

/// How long each answer took, asked over as many connections as there are clients for a time.
pub async fn ask(
    asked: &Asked,
    address: SocketAddr,
    clients: u8,
    time: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let bytes = asked.bytes(address);
    let mut all = JoinSet::new();
    for _ in 0..clients {
        let bytes = bytes.clone();
        all.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (mut took, mut room) = (Vec::new(), Vec::new());
            let begun = Instant::now();
            while begun.elapsed() < time {
                let sent = Instant::now();
                stream.write_all(&bytes).await?;
                answer(&mut stream, &mut room).await?;
                took.push(sent.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(one) = all.join_next().await {
        took.extend(one??);
    }
    ensure!(!took.is_empty(), "nothing was answered within {time:?}");
    Ok(took)
}

/// Reads one answer whole; anything but a success ends the measurement.
async fn answer(stream: &mut TcpStream, room: &mut Vec<u8>) -> anyhow::Result<()> {
    room.clear();
    let head = loop {
        ensure!(
            stream.read_buf(room).await? > 0,
            "the server closed the connection"
        );
        if let Some(end) = room.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = std::str::from_utf8(&room[..head])
        .context("a head that is no text")?
        .to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(Ok(0), |length| length.trim().parse::<usize>())?;
    while room.len() < head + length {
        ensure!(
            stream.read_buf(room).await? > 0,
            "the server closed the connection"
        );
    }
    if !text.starts_with("http/1.1 2") {
        bail!(
            "{}: {}",
            text.lines().next().unwrap_or_default(),
            String::from_utf8_lossy(&room[head..])
        );
    }
    Ok(())
}
