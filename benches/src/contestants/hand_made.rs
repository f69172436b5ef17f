//! What one writes in an afternoon: tokio's semaphore and a vector. Nothing expires, nothing is
//! counted, and connections are made in advance.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::{Connection, Contestant, Setup, TIMEOUT};

struct Inner {
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
    alike: bool,
}

#[derive(Clone)]
pub(crate) struct HandMade(Arc<Inner>);

/// The connection goes back before the permit does.
pub(crate) struct Loan<'a> {
    pool: Arc<Inner>,
    taken: Option<Connection>,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.pool.idle.lock().extend(self.taken.take());
    }
}

impl Contestant for HandMade {
    type Loan<'a> = Loan<'a>;

    async fn build(setup: Setup) -> Self {
        let idle = (0..setup.max).map(|_| Box::new(setup.made.make())).collect();
        let (permits, idle) = (Semaphore::new(setup.max), Mutex::new(idle));
        HandMade(Arc::new(Inner { permits, idle, alike: setup.alike }))
    }

    async fn acquire(&self) -> Loan<'_> {
        let permit = if self.0.alike {
            timeout(TIMEOUT, self.0.permits.acquire()).await.expect("in time")
        } else {
            self.0.permits.acquire().await
        };
        let permit = permit.expect("it is never closed");
        let taken = self.0.idle.lock().pop();
        Loan { pool: self.0.clone(), taken, _permit: permit }
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.0.idle.lock().len())
    }
}
