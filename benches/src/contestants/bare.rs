//! What a pool can hardly be cheaper than. Neither can wait, dial, or count.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use super::{Connection, Contestant, Setup};

/// A mutex and a vector, shared by an `Arc` that is cloned for each loan.
#[derive(Clone)]
pub(crate) struct Floor(Arc<Mutex<Vec<Connection>>>);

pub(crate) struct FloorLoan {
    shared: Arc<Mutex<Vec<Connection>>>,
    taken: Option<Connection>,
}

impl Drop for FloorLoan {
    fn drop(&mut self) {
        self.shared.lock().extend(self.taken.take());
    }
}

impl Contestant for Floor {
    type Loan<'a> = FloorLoan;

    async fn build(setup: Setup) -> Self {
        let connections = (0..setup.max).map(|_| Box::new(setup.made.make()));
        Floor(Arc::new(Mutex::new(connections.collect())))
    }

    async fn acquire(&self) -> FloorLoan {
        let shared = self.0.clone();
        let taken = shared.lock().pop();
        FloorLoan { shared, taken }
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.0.lock().len())
    }
}

const STRIPES: usize = 8;

/// As the floor, with a mutex and vector for each thread; whoever finds its own empty takes of the
/// others. What several locks for one host would take, at the least: nobody is queued, and what is idle
/// is in no order.
#[derive(Clone)]
pub(crate) struct Striped(Arc<[Stripe; STRIPES]>);

/// Two threads do not share a cache line.
#[repr(align(128))]
#[derive(Default)]
struct Stripe(Mutex<Vec<Connection>>);

pub(crate) struct StripedLoan {
    shared: Arc<[Stripe; STRIPES]>,
    taken: Option<Connection>,
}

/// The stripe of this thread.
fn own_stripe() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: usize = THREADS.fetch_add(1, Relaxed) % STRIPES);
    OWN.with(|own| *own)
}

impl Drop for StripedLoan {
    fn drop(&mut self) {
        self.shared[own_stripe()].0.lock().extend(self.taken.take());
    }
}

impl Contestant for Striped {
    type Loan<'a> = StripedLoan;

    async fn build(setup: Setup) -> Self {
        let stripes: [Stripe; STRIPES] = Default::default();
        for nth in 0..setup.max {
            stripes[nth % STRIPES].0.lock().push(Box::new(setup.made.make()));
        }
        Striped(Arc::new(stripes))
    }

    async fn acquire(&self) -> StripedLoan {
        let shared = self.0.clone();
        let own = own_stripe();
        let taken = (own..own + STRIPES).find_map(|nth| shared[nth % STRIPES].0.lock().pop());
        StripedLoan { shared, taken }
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.0.iter().map(|stripe| stripe.0.lock().len()).sum())
    }
}

const SHARDS: usize = 16;
const KEYS: u64 = 1000;

type Shard = Mutex<HashMap<u64, Vec<Connection>, RandomState>>;

/// Sixteen maps from keys to vectors, each behind a mutex. A key is hashed twice: once to choose
/// the map, and once by the map.
#[derive(Clone)]
pub(crate) struct ShardedMap {
    shards: Arc<[Shard; SHARDS]>,
    hasher: RandomState,
}

pub(crate) struct Taken {
    map: Arc<[Shard; SHARDS]>,
    shard: usize,
    key: u64,
    connection: Option<Connection>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.map[self.shard].lock().entry(self.key).or_default().extend(self.connection.take());
    }
}

impl ShardedMap {
    /// One connection for each of so many keys.
    pub(crate) fn with_keys(keys: u64) -> ShardedMap {
        ShardedMap::with_several(keys, 1)
    }

    /// So many connections for each of so many keys.
    pub(crate) fn with_several(keys: u64, of_each: u64) -> ShardedMap {
        let map = ShardedMap { shards: Arc::default(), hasher: RandomState::new() };
        for key in (0..keys * of_each).map(|n| n / of_each) {
            map.put(key, Box::new(key));
        }
        map
    }

    fn shard(&self, key: u64) -> usize {
        usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0)
    }

    pub(crate) fn put(&self, key: u64, connection: Connection) {
        self.shards[self.shard(key)].lock().entry(key).or_default().push(connection);
    }

    pub(crate) fn forget(&self, key: u64) {
        self.shards[self.shard(key)].lock().remove(&key);
    }

    /// Takes a key's connection.
    pub(crate) fn take(&self, key: u64) -> Taken {
        let (map, shard) = (self.shards.clone(), self.shard(key));
        let connection = map[shard].lock().get_mut(&key).and_then(Vec::pop);
        Taken { map, shard, key, connection }
    }
}

impl Contestant for ShardedMap {
    type Loan<'a> = Taken;

    async fn build(_: Setup) -> Self {
        ShardedMap::with_keys(KEYS)
    }

    async fn acquire(&self) -> Taken {
        self.take(black_box(7))
    }

    /// There is nobody to be wrong.
    async fn idle(&self) -> Option<usize> {
        None
    }
}
