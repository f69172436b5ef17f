//! A program that used bb8, before and after: the manager stays as it is.
//!
//! ```text
//! cargo run -p example-migrate --bin from_bb8
//! ```
//!
//! The manager here makes connections to a server in this process, which sends each line back; it
//! stands for `bb8-postgres`, `bb8-redis` or one of your own. Both programs ask four questions at
//! once over two connections, then ask for a connection while none is left, and print what that is
//! like:
//!
//! ```text
//! bb8: 4 answers over 2 connections
//! bb8: Timed out in bb8
//! wharf: 4 answers over 2 connections
//! wharf: timed out after 0.1 s waiting for a connection to "lines": 2 of 2 in use, 0 idle, 0 dialing, \
//! 1 waiting; longest held 0.1 s, acquired at examples/migrate/src/bin/from_bb8.rs:…; raise max_per_host or \
//! look for loans that are never returned
//! ```

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = listener.local_addr()?;
    tokio::spawn(serve(listener));

    before::run(Lines { server, made: Arc::default() }).await?;
    after::run(Lines { server, made: Arc::default() }).await
}

mod before {
    use super::{Failure, Lines, ask};
    use std::time::Duration;

    pub(super) async fn run(manager: Lines) -> Result<(), Failure> {
        let made = manager.made.clone();
        let pool = bb8::Pool::builder()
            .max_size(2)
            .connection_timeout(Duration::from_millis(100))
            .build(manager)
            .await?;

        let question = |question: &'static str| {
            let pool = pool.clone();
            async move { ask(&mut *pool.get().await?, question).await }
        };
        super::four_questions("bb8", &made, question).await?;

        let _held = (pool.get().await?, pool.get().await?);
        println!("bb8: {}", pool.get().await.unwrap_err());
        Ok(())
    }
}

mod after {
    use super::{Failure, Lines, ask};
    use std::time::Duration;
    use wharf::{HealthCheck, Pool};
    use wharf_bb8::Bb8;

    pub(super) async fn run(manager: Lines) -> Result<(), Failure> {
        let made = manager.made.clone();
        let pool = Pool::builder()
            .max_per_host(2)
            .acquire_timeout(Duration::from_millis(100))
            .health_check(HealthCheck::Always) // As bb8 does, unless `test_on_check_out(false)`.
            .build(Bb8::new(manager).name("lines"))?
            .host(&());

        let question = |question: &'static str| {
            let pool = pool.clone();
            async move { ask(&mut *pool.acquire().await?, question).await }
        };
        super::four_questions("wharf", &made, question).await?;

        let _held = (pool.acquire().await?, pool.acquire().await?);
        println!("wharf: {}", pool.acquire().await.unwrap_err());
        Ok(())
    }
}

// What is the same in both: the manager, and the work.

/// Makes connections to a server that sends each line back.
struct Lines {
    server: SocketAddr,
    made: Arc<AtomicU32>,
}

type Connection = BufReader<TcpStream>;

impl bb8::ManageConnection for Lines {
    type Connection = Connection;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<Connection> {
        self.made.fetch_add(1, Ordering::Relaxed);
        TcpStream::connect(self.server).await.map(BufReader::new)
    }

    async fn is_valid(&self, connection: &mut Connection) -> io::Result<()> {
        exchange(connection, "ping").await.map(drop)
    }

    fn has_broken(&self, _: &mut Connection) -> bool {
        false
    }
}

async fn ask(connection: &mut Connection, question: &str) -> Result<String, Failure> {
    // Long enough that the others have to share.
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(exchange(connection, question).await?)
}

async fn exchange(connection: &mut Connection, line: &str) -> io::Result<String> {
    connection.write_all(format!("{line}\n").as_bytes()).await?;
    let mut answer = String::new();
    connection.read_line(&mut answer).await?;
    if answer.trim_end() == line { Ok(answer) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

async fn four_questions<F: Future<Output = Result<String, Failure>>>(
    name: &str,
    made: &AtomicU32,
    question: impl Fn(&'static str) -> F,
) -> Result<(), Failure> {
    tokio::try_join!(question("who"), question("what"), question("when"), question("why"))?;
    println!("{name}: 4 answers over {} connections", made.load(Ordering::Relaxed));
    Ok(())
}

async fn serve(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let (mut from, mut to) = stream.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
        });
    }
}
