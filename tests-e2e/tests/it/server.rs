//! The program as a server: started, watched, told to stop, killed.

use crate::program::Program;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// How long a server may take to answer, also the first time and on a busy machine.
const START: Duration = Duration::from_mins(1);
/// How long it may take to end after it was told to.
const STOP: Duration = Duration::from_mins(1);

/// What a process wrote so far.
#[derive(Debug, Clone, Default)]
pub struct Written(Arc<Mutex<String>>);

impl Written {
    pub fn so_far(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn follow(&self, stream: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<()> {
        let text = self.0.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut text = text.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        })
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Standard error.
    pub log: Written,
    /// Standard output.
    pub stdout: Written,
    /// `host:port`.
    pub address: String,
    reading: Option<JoinHandle<()>>,
    heard: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts `jarvis serve` on a free port, with its worker.
    pub async fn serve(program: &Program) -> Self {
        Self::serve_at(program, "127.0.0.1:0").await
    }

    pub async fn serve_at(program: &Program, listen: &str) -> Self {
        Self::start(program.command(&["serve", "--listen", listen])).await
    }

    /// Starts a command that serves; returns once it says where.
    pub async fn start(command: Command) -> Self {
        Self::try_start(command)
            .await
            .unwrap_or_else(|(status, log)| panic!("the server ended ({status}):\n{log}"))
    }

    /// Starts `jarvis worker`, which serves nowhere; returns once it works.
    pub async fn work(program: &Program) -> Self {
        let started = Self::start_when(program.command(&["worker"]), |log| {
            log.contains("JARVIS works").then(String::new)
        });
        started
            .await
            .unwrap_or_else(|(status, log)| panic!("the worker ended ({status}):\n{log}"))
    }

    /// As [`Server::start`]; when it ends instead, how, and what it said.
    pub async fn try_start(command: Command) -> Result<Self, (ExitStatus, String)> {
        Self::start_when(command, address_in).await
    }

    async fn start_when(
        mut command: Command,
        ready: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, (ExitStatus, String)> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let (log, stdout) = (Written::default(), Written::default());
        let heard = stdout.follow(child.stdout.take().unwrap());
        let reading = log.follow(child.stderr.take().unwrap());
        let begun = Instant::now();
        loop {
            if let Some(address) = ready(&log.so_far()) {
                return Ok(Self {
                    child,
                    log,
                    stdout,
                    address,
                    reading: Some(reading),
                    heard: Some(heard),
                });
            }
            if let Some(status) = child.try_wait().unwrap() {
                reading.await.unwrap();
                return Err((status, log.so_far()));
            }
            assert!(
                begun.elapsed() < START,
                "the server does not say where it serves:\n{}",
                log.so_far()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn pid(&self) -> i32 {
        self.child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .expect("the server runs")
    }

    async fn read_to_the_end(&mut self) -> Written {
        for reading in [self.reading.take(), self.heard.take()].into_iter().flatten() {
            reading.await.unwrap();
        }
        self.log.clone()
    }

    /// SIGKILL: no word of farewell.
    pub async fn kill(mut self) -> Written {
        self.child.start_kill().expect("the server ran until now");
        self.child.wait().await.unwrap();
        self.read_to_the_end().await
    }

    pub fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("the server ran until now");
    }

    /// Sends a signal and waits for the end.
    pub async fn stop(self, signal: Signal) -> (ExitStatus, Written) {
        self.send(signal);
        self.end(signal).await
    }

    /// Waits for the end after a signal.
    pub async fn end(mut self, signal: Signal) -> (ExitStatus, Written) {
        let ended = tokio::time::timeout(STOP, self.child.wait()).await;
        let status =
            ended.unwrap_or_else(|_| panic!("{signal} does not stop the server:\n{}", self.log.so_far()));
        (status.unwrap(), self.read_to_the_end().await)
    }
}

impl Drop for Server {
    /// A test that fails shows what the server said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the server's log:\n{}", self.log.so_far());
        }
    }
}

fn address_in(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("http://")?;
    let address = rest.split(|c: char| c.is_whitespace() || c == '/').next()?;
    // The line is complete when something follows the address.
    (rest.len() > address.len()).then(|| address.to_owned())
}

/// Whether a process lives; one that ended and was not waited for does not.
pub fn is_alive(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state != Some('Z')
}

/// The processes that a process started and that live.
pub fn children_of(parent: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(") ").next().unwrap_or_default();
        let of = after_name
            .split(' ')
            .nth(1)
            .and_then(|parent| parent.parse().ok());
        of == Some(parent)
    })
    .collect()
}
