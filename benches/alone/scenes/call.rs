//! The calls of callers, and what comes of them.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::ms;
use crate::player::{Failure, Player};

/// Between the end of a call and the next one of its caller.
const PAUSE: Duration = ms(20);

/// One acquire.
pub(crate) struct Call {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) failure: Option<Failure>,
}

/// What one caller saw.
pub(crate) type Caller = Vec<Call>;

impl Call {
    async fn make<P: Player>(pool: &P) -> Call {
        let began = Instant::now();
        let loan = pool.acquire().await;
        let ended = Instant::now();
        let failure = loan.as_ref().err().copied();
        if let Ok(loan) = &loan {
            // What a borrower does with a connection that dies is no question to the pool.
            let _ = loan.request().await;
        }
        Call { began, ended, failure }
    }

    pub(crate) fn took(&self) -> Duration {
        self.ended - self.began
    }
}

/// Adds callers who ask again and again, until the end.
pub(crate) fn add<P: Player>(callers: &mut JoinSet<Caller>, n: usize, pool: &P, end: Instant) {
    for _ in 0..n {
        let pool = pool.clone();
        callers.spawn(async move {
            let mut calls = Vec::new();
            while Instant::now() < end {
                calls.push(Call::make(&pool).await);
                sleep(PAUSE).await;
            }
            calls
        });
    }
}
