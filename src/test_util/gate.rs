//! What holds a stage up until a test says so.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::error::TestError;

/// Holds up whoever comes, until told. Clones are one gate.
///
/// # Examples
///
/// A caller waits for a dial; another connection comes back first:
///
/// ```
/// use wharf::Pool;
/// use wharf::test_util::{Stage, TestConnector};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let connector = TestConnector::<()>::new();
/// let pool = Pool::new(connector.clone());
/// let first = pool.acquire(&()).await?;
///
/// let gate = connector.gate(Stage::Connect);
/// let waiter = tokio::spawn(pool.acquire(&()));
/// tokio::task::yield_now().await;
/// assert_eq!(pool.status().dialing, 1);
///
/// drop(first);
/// assert_eq!(waiter.await??.number, 0);
///
/// gate.let_through(1); // The dial ends, and what it made goes idle.
/// # tokio::time::sleep(std::time::Duration::from_millis(1)).await;
/// assert_eq!(pool.status().idle, 2);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Gate::new()
    }
}

impl Gate {
    /// Makes a gate that lets nobody through.
    pub fn new() -> Self {
        Gate(Arc::new(Semaphore::new(0)))
    }

    /// Lets so many through: those who wait, in the order in which they came, and then who comes.
    pub fn let_through(&self, n: usize) {
        self.0.add_permits(n);
    }

    /// Lets whoever waits, and whoever comes, fail with [`TestError`].
    pub fn fail(&self) {
        self.0.close();
    }

    pub(super) async fn pass(&self) -> Result<(), TestError> {
        self.0.acquire().await.map_err(|_| TestError)?.forget();
        Ok(())
    }
}
