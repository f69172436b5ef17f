//! A Redis server of the test's own: on a free port, in a folder that goes with it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bb8_redis::redis;

pub(crate) struct RedisServer {
    port: u16,
    folder: PathBuf,
    process: Child,
}

impl RedisServer {
    pub(crate) async fn start() -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
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

fn spawn(port: u16, folder: &PathBuf) -> Child {
    let mut command = Command::new("redis-server");
    command.arg("--port").arg(port.to_string()).arg("--dir").arg(folder);
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.stdout(Stdio::null());
    command.spawn().expect("this test needs the program redis-server: install it")
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
