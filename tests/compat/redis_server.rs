//! A Redis server of the test's own: on a free port, in a folder that goes with it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bb8_redis::redis;

use crate::postgres_server::package::Package;

const PACKAGE: Package =
    Package { name: "redis-server", brings: "Redis", is_there: || is_there("redis-server") };

pub(crate) struct RedisServer {
    port: u16,
    folder: PathBuf,
    process: Child,
}

impl RedisServer {
    /// Whether a test can start one. If not, the test is named as skipped.
    pub(crate) fn is_installed_or_skip() -> bool {
        PACKAGE.is_installed_or_skip()
    }

    pub(crate) async fn start() -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        assert!(PACKAGE.is_installed(), "{}", PACKAGE.is_missing());
        let nth = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("wharf-redis-{}-{nth}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        // Somebody may take the port before the server does: then it ends, and another is tried.
        for _ in 0..10 {
            let port = free_port();
            let mut process = spawn(port, &folder);
            if answers(port, &mut process).await {
                return RedisServer { port, folder, process };
            }
        }
        panic!("redis-server did not start on any of ten ports");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// A connection that no pool knows of.
    pub(crate) async fn admin(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    pub(crate) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again where it was.
    pub(crate) async fn start_again(&mut self) {
        self.process = spawn(self.port, &self.folder);
        assert!(answers(self.port, &mut self.process).await, "redis-server did not start again");
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
fn spawn(port: u16, folder: &Path) -> Child {
    let mut command = if is_there("setpriv") {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig=KILL", "redis-server"]);
        command
    } else {
        Command::new("redis-server")
    };
    command.arg("--port").arg(port.to_string()).arg("--dir").arg(folder);
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
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

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Waits until the server answers; false when it has ended.
async fn answers(port: u16, process: &mut Child) -> bool {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
    for _ in 0..3000 {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if let Ok(mut connection) = client.get_multiplexed_async_connection().await {
            // Another's server may listen there: ours says its own process id.
            let info: String =
                redis::cmd("INFO").arg("server").query_async(&mut connection).await.unwrap();
            return info.contains(&format!("process_id:{}\r\n", process.id()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("redis-server did not answer within 30 seconds");
}
