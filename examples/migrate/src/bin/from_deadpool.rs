//! A program that used deadpool, before and after: the manager stays as it is.
//!
//! ```text
//! cargo run -p example-migrate --bin from_deadpool
//! ```
//!
//! The manager here makes sessions with settings, of which recycling clears what a borrower has set;
//! it stands for `deadpool-postgres`, `deadpool-redis` or one of your own. Both programs set
//! something, give the session back, and look whether the next borrower sees it. Then they ask for a
//! session while none is left:
//!
//! ```text
//! deadpool: session 1 has the settings []
//! deadpool: Timeout occurred while waiting for a slot to become available
//! wharf: session 1 has the settings []
//! wharf: timed out after 0.0 s waiting for a connection to "sessions": 1 of 1 in use, 0 idle, 0 dialing, \
//! 0 waiting; longest held 0.0 s, acquired at examples/migrate/src/bin/from_deadpool.rs:…; nothing was idle, \
//! and the caller did not wait
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};

use deadpool::managed::{Manager, Metrics, RecycleResult};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    before::run(Sessions::default()).await?;
    after::run(Sessions::default()).await
}

mod before {
    use super::{Failure, Sessions};
    use deadpool::managed::{Pool, Timeouts};
    use std::time::Duration;

    pub(super) async fn run(manager: Sessions) -> Result<(), Failure> {
        let pool: Pool<Sessions> = Pool::builder(manager).max_size(1).build()?;

        pool.get().await?.set("time zone");
        let session = pool.get().await?;
        println!("deadpool: {}", *session);

        let at_once = Timeouts { wait: Some(Duration::ZERO), ..Timeouts::new() };
        println!("deadpool: {}", pool.timeout_get(&at_once).await.unwrap_err());
        Ok(())
    }
}

mod after {
    use super::{Failure, Sessions};
    use std::time::Duration;
    use wharf::Pool;
    use wharf_deadpool::Deadpool;

    pub(super) async fn run(manager: Sessions) -> Result<(), Failure> {
        let pool =
            Pool::builder().max_per_host(1).build(Deadpool::new(manager).name("sessions"))?;

        pool.acquire(&()).await?.set("time zone");
        let session = pool.acquire(&()).await?;
        println!("wharf: {}", **session);

        println!("wharf: {}", pool.acquire_within(&(), Duration::ZERO).await.unwrap_err());
        Ok(())
    }
}

// What is the same in both: the manager.

/// Makes sessions, and clears their settings.
#[derive(Debug, Default)]
struct Sessions {
    made: AtomicU32,
}

#[derive(Debug)]
struct Session {
    number: u32,
    settings: Vec<&'static str>,
}

impl Session {
    fn set(&mut self, what: &'static str) {
        self.settings.push(what);
    }
}

impl std::fmt::Display for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "session {} has the settings {:?}", self.number, self.settings)
    }
}

impl Manager for Sessions {
    type Type = Session;
    type Error = Infallible;

    async fn create(&self) -> Result<Session, Infallible> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Session { number, settings: Vec::new() })
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Infallible> {
        session.settings.clear();
        Ok(())
    }
}
