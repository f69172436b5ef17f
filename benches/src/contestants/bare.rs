//! What a pool can hardly be cheaper than. Neither can wait, dial, or count.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use parking_lot::Mutex;

use super::{Connection, Contestant, Setup};

/// A mutex and a vector: what is taken goes back, and nothing else is done.
#[derive(Clone)]
pub(crate) struct Floor(Arc<Mutex<Vec<Connection>>>);

pub(crate) struct FloorLoan<'a> {
    shared: &'a Mutex<Vec<Connection>>,
    taken: Option<Connection>,
}

impl Drop for FloorLoan<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.taken.take() {
            self.shared.lock().push(connection);
        }
    }
}

impl Contestant for Floor {
    type Loan<'a> = FloorLoan<'a>;

    async fn build(setup: Setup) -> Self {
        let connections = (0..setup.max).map(|_| Box::new(setup.made.make()));
        Floor(Arc::new(Mutex::new(connections.collect())))
    }

    async fn acquire(&self) -> FloorLoan<'_> {
        let taken = self.0.lock().pop();
        FloorLoan { shared: &self.0, taken }
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.0.lock().len())
    }

    fn apart(&self, _: u64) -> Self {
        Floor(Arc::new(Mutex::new(vec![Box::new(7)])))
    }
}

const SHARDS: usize = 16;

/// SipHash-1-3 with a key.
pub(crate) type Keyed = RandomState;

/// foldhash without a key of its own: who chooses the keys can make them collide.
pub(crate) type Unkeyed = FixedState;

type Shard = Mutex<HashTable<(u64, Vec<Connection>)>>;

/// Sixteen maps from keys to vectors, each behind a mutex. A key is hashed once for each loan.
pub(crate) struct ShardedMap<H> {
    shards: [Shard; SHARDS],
    hasher: H,
}

pub(crate) struct Taken<'a> {
    shards: &'a [Shard; SHARDS],
    hash: u64,
    key: u64,
    connection: Option<Connection>,
}

fn shard(shards: &[Shard; SHARDS], hash: u64) -> &Shard {
    &shards[(hash >> 40) as usize % SHARDS]
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut map = shard(self.shards, self.hash).lock();
        if let Some((_, idle)) = map.find_mut(self.hash, |(key, _)| *key == self.key) {
            idle.extend(self.connection.take());
        }
    }
}

impl<H: BuildHasher + Default> ShardedMap<H> {
    /// This many connections for each of this many keys.
    pub(crate) fn new(keys: u64, of_each: u64) -> Self {
        let map = ShardedMap { shards: Default::default(), hasher: H::default() };
        for key in 0..keys {
            let hash = map.hash(key);
            let idle = (0..of_each).map(|_| Box::new(key)).collect();
            let again = |(key, _): &(u64, Vec<Connection>)| map.hash(*key);
            shard(&map.shards, hash).lock().insert_unique(hash, (key, idle), again);
        }
        map
    }

    fn hash(&self, key: u64) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Takes a key's connection.
    pub(crate) fn take(&self, key: u64) -> Taken<'_> {
        let (shards, hash) = (&self.shards, self.hash(key));
        let mut map = shard(shards, hash).lock();
        let connection = map.find_mut(hash, |(other, _)| *other == key).and_then(|it| it.1.pop());
        drop(map);
        Taken { shards, hash, key, connection }
    }
}
