//! A Redis server of one's own: on a free port, in a folder that goes with it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::package::{REDIS, program};

/// A server, and where its files are.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    folder: PathBuf,
    settings: &'static [&'static str],
    process: Child,
}

impl RedisServer {
    /// Whether a test can start one. If not, the test is named as skipped.
    pub fn is_installed_or_skip() -> bool {
        REDIS.is_installed_or_skip()
    }

    /// Starts one that keeps nothing on its disk, and waits until it answers.
    pub fn start() -> Self {
        RedisServer::start_with(&["--appendonly", "no"])
    }

    /// Starts one with these settings, such as `["--appendonly", "yes"]`.
    pub fn start_with(settings: &'static [&'static str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        assert!(REDIS.is_installed(), "{}", REDIS.is_missing());
        let nth = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("wharf-redis-{}-{nth}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        // Somebody may take the port before the server does: then it ends, and another is tried.
        for _ in 0..10 {
            let port = free_port();
            let mut process = spawn(port, &folder, settings);
            if answers(port, &mut process) {
                return RedisServer { port, folder, settings, process };
            }
        }
        panic!("redis-server did not start on any of ten ports");
    }

    /// How to connect.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.process = spawn(self.port, &self.folder, self.settings);
        assert!(answers(self.port, &mut self.process), "redis-server did not start again");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Where there is `setpriv`, the server also ends when this process is killed.
fn spawn(port: u16, folder: &Path, settings: &[&str]) -> Child {
    let mut command = if program("setpriv").is_some() {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig=KILL", "redis-server"]);
        command
    } else {
        Command::new("redis-server")
    };
    command.arg("--port").arg(port.to_string()).arg("--dir").arg(folder);
    command.args(["--bind", "127.0.0.1", "--save", ""]).args(settings);
    command.stdout(Stdio::null());
    let (sender, receiver) = mpsc::channel();
    // The signal comes when the thread ends that started the program: so one is kept for it.
    thread::spawn(move || {
        let _ = sender.send(command.spawn());
        loop {
            thread::park();
        }
    });
    receiver.recv().unwrap().unwrap()
}

/// Waits until the server answers; false when it has ended.
fn answers(port: u16, process: &mut Child) -> bool {
    // Another's server may listen there: ours says its own process id.
    let own = format!("process_id:{}\r\n", process.id());
    for _ in 0..3000 {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if let Ok(info) = info(port) {
            return info.contains(&own);
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("redis-server did not answer within 30 seconds");
}

/// What the server says of itself.
fn info(port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(b"INFO server\r\nQUIT\r\n")?;
    let mut info = String::new();
    stream.read_to_string(&mut info)?;
    Ok(info)
}
