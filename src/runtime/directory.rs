//! Maps keys to hosts. Its locks are held only for a look-up, an insert or a removal.

use std::borrow::Borrow;
use std::sync::Arc;

use hashbrown::HashTable;

use crate::engine::status::Counted;
use crate::engine::sync::Mutex;

/// More than the number of threads, so that they rarely collide, and enough that visiting a hundred
/// thousand hosts holds no lock for longer than about 15 us. A power of two.
const SHARDS: usize = if cfg!(wharf_loom) { 1 } else { 64 };

/// A host that a directory finds by its key.
pub(crate) trait Listed {
    type Key;

    fn key(&self) -> &Self::Key;

    fn hash(&self) -> u64;
}

/// A sharded map.
pub(crate) struct Directory<H>([Shard<H>; SHARDS]);

/// Aligned, so that two threads on two shards do not share a cache line.
#[repr(align(128))]
struct Shard<H>(Mutex<Hosts<H>>);

struct Hosts<H> {
    listed: HashTable<Arc<H>>,
    /// The counts of forgotten hosts, once there are some.
    past: Option<Box<Counted>>,
}

impl<H: Listed> Hosts<H> {
    fn find<Q>(&self, hash: u64, key: &Q) -> Option<&Arc<H>>
    where
        H::Key: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.listed.find(hash, |host| host.hash() == hash && host.key().borrow() == key)
    }
}

impl<H: Listed> Directory<H> {
    pub(super) fn new() -> Self {
        Directory(std::array::from_fn(|_| {
            Shard(Mutex::new(Hosts { listed: HashTable::new(), past: None }))
        }))
    }

    /// Selects a shard by bits of the hash that the shard's own map does not use first.
    fn shard(&self, hash: u64) -> &Mutex<Hosts<H>> {
        &self.0[(hash >> 40) as usize % SHARDS].0
    }

    #[inline]
    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Option<Arc<H>>
    where
        H::Key: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.shard(hash).lock().find(hash, key).cloned()
    }

    /// Enters this host, unless another one with its key is here, or `note` refuses it. Returns the one that is here
    /// then. `note` is called under the lock, before anybody else finds the host.
    pub(super) fn enter(&self, host: &Arc<H>, note: impl FnOnce() -> bool) -> Option<Arc<H>>
    where
        H::Key: Eq,
    {
        let mut hosts = self.shard(host.hash()).lock();
        if let Some(listed) = hosts.find(host.hash(), host.key()) {
            return Some(listed.clone());
        }
        if !note() {
            return None;
        }
        hosts.listed.insert_unique(host.hash(), host.clone(), |host| host.hash());
        Some(host.clone())
    }

    /// Removes a host, unless `forget`, which is called under the lock, finds that it is needed. It returns the
    /// host's counts.
    pub(super) fn remove(&self, host: &Arc<H>, forget: &mut dyn FnMut() -> Option<Counted>) {
        let mut hosts = self.shard(host.hash()).lock();
        let Some(counted) = forget() else { return };
        hosts.past.get_or_insert_default().add_past(&counted);
        let gone = hosts.listed.find_entry(host.hash(), |other| Arc::ptr_eq(other, host));
        let gone = gone.ok().map(|entry| entry.remove().0);
        // Frees the memory of many hosts that were visited once.
        if hosts.listed.capacity() > 14 && hosts.listed.len() * 8 < hosts.listed.capacity() {
            hosts.listed.shrink_to_fit(|host| host.hash());
        }
        drop(hosts);
        drop(gone);
    }

    /// Passes each host to `visit`, under a lock. Returns the counts of the forgotten ones.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(&Arc<H>)) -> Counted {
        let mut past = Counted::default();
        for shard in &self.0 {
            let hosts = shard.0.lock();
            hosts.listed.iter().for_each(&mut *visit);
            hosts.past.iter().for_each(|counted| past.add_past(counted));
        }
        past
    }

    #[cfg(all(test, wharf_loom))]
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.0.lock().listed.len()).sum()
    }
}
