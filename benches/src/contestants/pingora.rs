//! pingora-pool: lists of idle connections by key, and a cap on them all. It has no cap on what is
//! open, nobody can wait, and the proxy around it starts a task for each return, which is not in
//! the figure.

use std::hint::black_box;
use std::sync::Arc;

use pingora_pool::{ConnectionMeta, ConnectionPool};

use super::{Contestant, Setup};

const KEYS: u64 = 1000;

#[derive(Clone)]
pub(crate) struct Pingora(Arc<ConnectionPool<u64>>);

pub(crate) struct Loan<'a> {
    pool: &'a ConnectionPool<u64>,
    key: u64,
    taken: Option<u64>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.taken.take() {
            let id = i32::try_from(connection).unwrap_or(0);
            drop(self.pool.put(&ConnectionMeta::new(self.key, id), connection));
        }
    }
}

impl Pingora {
    /// One connection for each of so many keys.
    pub(crate) fn with_keys(keys: u64) -> Pingora {
        Pingora::with_several(keys, 1)
    }

    /// So many connections for each of so many keys.
    pub(crate) fn with_several(keys: u64, of_each: u64) -> Pingora {
        let most = usize::try_from(keys * of_each).expect("a number of connections") + 1;
        let pool = ConnectionPool::new(most);
        for id in 0..keys * of_each {
            drop(Loan { pool: &pool, key: id / of_each, taken: Some(id) });
        }
        Pingora(Arc::new(pool))
    }

    pub(crate) fn take(&self, key: u64) -> Loan<'_> {
        Loan { pool: &self.0, key, taken: self.0.get(&key) }
    }
}

impl Contestant for Pingora {
    type Loan<'a> = Loan<'a>;

    async fn build(_: Setup) -> Self {
        Pingora::with_keys(KEYS)
    }

    async fn acquire(&self) -> Loan<'_> {
        let loan = self.take(black_box(7));
        assert!(loan.taken.is_some(), "pingora-pool has lost a connection");
        loan
    }

    /// It does not say.
    async fn idle(&self) -> Option<usize> {
        None
    }
}
