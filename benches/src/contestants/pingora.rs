//! pingora-pool: lists of idle connections by key, and a cap on them all. It has no cap on what is
//! open, nobody can wait, and the proxy around it starts a task for each return, which is not in
//! the figure.

use pingora_pool::{ConnectionMeta, ConnectionPool};

pub(crate) struct Pingora(ConnectionPool<u64>);

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
    /// This many connections for each of this many keys.
    pub(crate) fn new(keys: u64, of_each: u64) -> Pingora {
        let most = usize::try_from(keys * of_each).expect("a number of connections") + 1;
        let pool = ConnectionPool::new(most);
        for id in 0..keys * of_each {
            drop(Loan { pool: &pool, key: id / of_each, taken: Some(id) });
        }
        Pingora(pool)
    }

    pub(crate) fn take(&self, key: u64) -> Loan<'_> {
        Loan { pool: &self.0, key, taken: self.0.get(&key) }
    }
}
