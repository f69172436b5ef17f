//! Maps keys to hosts. Its locks are held only for a look-up, an insert or a removal.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::engine::status::Counted;
use crate::engine::sync::Mutex;

/// More than the number of threads, so that they rarely collide, and enough that visiting a hundred
/// thousand hosts holds no lock for longer than about 15 us. A power of two.
pub(super) const SHARDS: usize = if cfg!(wharf_loom) { 1 } else { 64 };

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
    listed: HashMap<u64, Arc<H>, BuildHasherDefault<Same>>,
    /// Those whose hash another one had already. It hardly ever happens.
    collided: Vec<Arc<H>>,
    /// The counts of forgotten hosts, once there are some.
    past: Option<Box<Counted>>,
}

impl<H: Listed> Hosts<H> {
    fn find<Q>(&self, hash: u64, key: &Q) -> Option<&Arc<H>>
    where
        H::Key: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let of_this_hash = self.listed.get(&hash).into_iter().chain(&self.collided);
        { of_this_hash }.find(|host| host.key().borrow() == key)
    }

    fn insert(&mut self, host: &Arc<H>) {
        match self.listed.entry(host.hash()) {
            Entry::Vacant(vacant) => _ = vacant.insert(host.clone()),
            Entry::Occupied(_) => self.collided.push(host.clone()),
        }
    }

    fn remove(&mut self, host: &Arc<H>) -> Option<Arc<H>> {
        match self.listed.entry(host.hash()) {
            Entry::Occupied(listed) if Arc::ptr_eq(listed.get(), host) => {
                return Some(listed.remove());
            }
            _ => {}
        }
        let at = self.collided.iter().position(|other| Arc::ptr_eq(other, host))?;
        Some(self.collided.swap_remove(at))
    }

    /// Frees the memory of many hosts that were visited once.
    fn shrink(&mut self) {
        if self.listed.capacity() > 14 && self.listed.len() * 8 < self.listed.capacity() {
            self.listed.shrink_to_fit();
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<H>> {
        self.listed.values().chain(&self.collided)
    }
}

/// The hasher of what is a hash already: a key is hashed once, before any lock is taken.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a hash is one number");
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<H: Listed> Directory<H> {
    pub(super) fn new() -> Self {
        Directory(std::array::from_fn(|_| {
            Shard(Mutex::new(Hosts {
                listed: HashMap::default(),
                collided: Vec::new(),
                past: None,
            }))
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
        hosts.insert(host);
        Some(host.clone())
    }

    /// Removes a host, unless `forget`, which is called under the lock, finds that it is needed. It returns the
    /// host's counts.
    pub(super) fn remove(&self, host: &Arc<H>, forget: &mut dyn FnMut() -> Option<Counted>) {
        let mut hosts = self.shard(host.hash()).lock();
        let Some(counted) = forget() else { return };
        hosts.past.get_or_insert_default().add_past(&counted);
        let gone = hosts.remove(host);
        hosts.shrink();
        drop(hosts);
        drop(gone);
    }

    /// Passes each host of one of the [`SHARDS`] to `visit`, under its lock. Returns the counts of the
    /// forgotten ones.
    pub(super) fn visit(&self, shard: usize, visit: &mut dyn FnMut(&Arc<H>)) -> Counted {
        let hosts = self.0[shard].0.lock();
        hosts.iter().for_each(visit);
        hosts.past.as_deref().copied().unwrap_or_default()
    }

    #[cfg(all(test, wharf_loom))]
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.0.lock().iter().count()).sum()
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;

    /// All have the same hash.
    struct Colliding(&'static str);

    impl Listed for Colliding {
        type Key = &'static str;

        fn key(&self) -> &&'static str {
            &self.0
        }

        fn hash(&self) -> u64 {
            7
        }
    }

    fn find(directory: &Directory<Colliding>, key: &'static str) -> Option<&'static str> {
        directory.find(7, &key).map(|host| host.0)
    }

    #[test]
    fn hosts_whose_hashes_collide_are_found_and_removed_each() {
        let directory = Directory::new();
        let hosts = ["a", "b", "c"].map(|key| Arc::new(Colliding(key)));
        for host in &hosts {
            let entered = directory.enter(host, || true).unwrap();
            assert!(Arc::ptr_eq(&entered, host));
        }
        // Each once only.
        let again = directory.enter(&Arc::new(Colliding("c")), || true).unwrap();
        assert!(Arc::ptr_eq(&again, &hosts[2]));
        let mut seen = Vec::new();
        (0..SHARDS).for_each(|shard| _ = directory.visit(shard, &mut |host| seen.push(host.0)));
        assert_eq!(seen, ["a", "b", "c"]);

        // The first one makes room for those to come, and the others are still found.
        for (at, left) in [(0, 2), (1, 1), (2, 0)] {
            let key = hosts[at].0;
            assert_eq!(find(&directory, key), Some(key));
            directory.remove(&hosts[at], &mut || Some(Counted::default()));
            assert_eq!(find(&directory, key), None);
            let found = hosts.iter().filter(|host| find(&directory, host.0).is_some());
            assert_eq!(found.count(), left);
        }
    }
}
