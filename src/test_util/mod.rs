//! A connector that does as a test tells it (feature `test-util`).
//!
//! [`TestConnector`] makes connections to nowhere. A test tells it what its dials, pings and closes do
//! ([`Step`]): succeed, fail, take their time, never end, panic, or wait at a [`Gate`]. It kills
//! connections as a server does that goes down, and it counts ([`Counts`]) what the pool did.
//!
//! With tokio's time paused (`#[tokio::test(start_paused = true)]`, its feature `test-util`) a test of
//! a 30 second time-out takes no time, and the same one each time.
//!
//! Put it where tests are built:
//!
//! ```toml
//! [dev-dependencies]
//! wharf = { version = "0.1", features = ["test-util"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util", "time"] }
//! ```
//!
//! # The pool is full: my code gives an error
//!
//! The code under test takes the pool of any connector:
//!
//! ```
//! use wharf::test_util::TestConnector;
//! use wharf::{AcquireError, Connector, Pool};
//!
//! /// What the program's own code makes of the pool's errors.
//! #[derive(Debug, PartialEq)]
//! enum Answer {
//!     Done,
//!     Busy,
//!     Down,
//! }
//!
//! async fn handle<C: Connector<Key = ()>>(pool: &Pool<C>) -> Answer {
//!     match pool.acquire(&()).await {
//!         Ok(_connection) => Answer::Done,
//!         Err(AcquireError::Timeout(_) | AcquireError::QueueFull) => Answer::Busy,
//!         Err(_) => Answer::Down,
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread", start_paused = true)] // `#[tokio::test(start_paused = true)]`
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let connector = TestConnector::<()>::new();
//!     let pool = Pool::builder().max_per_host(1).build(connector.clone())?;
//!
//!     let held = pool.acquire(&()).await?;
//!     assert_eq!(handle(&pool).await, Answer::Busy); // 30 seconds, in no time
//!     drop(held);
//!     assert_eq!(handle(&pool).await, Answer::Done);
//!     assert_eq!(connector.counts().dials, 1);
//!     Ok(())
//! }
//! ```
//!
//! # A dial hangs: it ends in time
//!
//! ```
//! use std::time::Duration;
//! use tokio::time::Instant;
//! use wharf::test_util::{Stage, Step, TestConnector};
//! use wharf::{AcquireError, Pool};
//!
//! #[tokio::main(flavor = "current_thread", start_paused = true)] // `#[tokio::test(start_paused = true)]`
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let connector = TestConnector::<&str>::new();
//!     connector.once(Stage::Connect, Step::Never);
//!     let limit = Duration::from_secs(3);
//!     let pool = Pool::builder().connect_timeout(limit).build(connector.clone())?;
//!
//!     let began = Instant::now();
//!     let error = pool.acquire(&"db-1").await.unwrap_err();
//!     assert!(matches!(error, AcquireError::ConnectTimeout));
//!     assert_eq!(began.elapsed().as_secs(), 3);
//!
//!     // That was once: the next dial succeeds.
//!     assert!(pool.acquire(&"db-1").await.is_ok());
//!     assert_eq!(connector.counts().dials, 2);
//!     Ok(())
//! }
//! ```
//!
//! # The server dies: nobody gets a dead connection
//!
//! ```
//! use wharf::Pool;
//! use wharf::test_util::TestConnector;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let connector = TestConnector::<()>::new();
//! let pool = Pool::new(connector.clone());
//! drop(pool.acquire(&()).await?);
//!
//! connector.kill_all();
//! let loan = pool.acquire(&()).await?;
//! assert!(loan.is_alive());
//! assert_eq!(loan.number, 1, "the second one made");
//! # Ok(()) }
//! ```

mod connection;
mod connector;
mod counts;
mod error;
mod gate;
mod ledger;
mod step;

pub use connection::TestConnection;
pub use connector::TestConnector;
pub use counts::Counts;
pub use error::TestError;
pub use gate::Gate;
pub use step::{Stage, Step};
