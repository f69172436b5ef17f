//! Maps keys to hosts. Its locks are held only for a look-up, an insert or a removal.

use std::borrow::Borrow;
use std::sync::Arc;

use hashbrown::HashTable;

use super::cell::{HostCell, carry_out_but_tell};
use super::news::{Item, News};
use super::parts::Cell;
use crate::engine::Listing;
use crate::engine::status::Counted;
use crate::engine::sync::Mutex;
use crate::policy::connector::Connector;

/// More than the number of threads, so that they rarely collide, and enough that visiting a hundred
/// thousand hosts holds no lock for longer than about 15 us. A power of two.
const SHARDS: usize = if cfg!(wharf_loom) { 1 } else { 64 };

/// A sharded map.
pub(crate) struct Directory<C: Connector>([Shard<C>; SHARDS]);

/// Aligned, so that two threads on two shards do not share a cache line.
#[repr(align(128))]
struct Shard<C: Connector>(Mutex<Hosts<C>>);

struct Hosts<C: Connector> {
    listed: HashTable<Arc<HostCell<C>>>,
    /// The counts of forgotten hosts, once there are some.
    past: Option<Box<Counted>>,
}

impl<C: Connector> Hosts<C> {
    fn find<Q>(&self, hash: u64, key: &Q) -> Option<&Arc<HostCell<C>>>
    where
        C::Key: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.listed.find(hash, |host| host.hash == hash && host.key.borrow() == key)
    }
}

impl<C: Connector> Directory<C> {
    pub(crate) fn new() -> Self {
        Directory(std::array::from_fn(|_| {
            Shard(Mutex::new(Hosts { listed: HashTable::new(), past: None }))
        }))
    }

    /// Selects a shard by bits of the hash that the shard's own map does not use first.
    fn shard(&self, hash: u64) -> &Mutex<Hosts<C>> {
        &self.0[(hash >> 40) as usize % SHARDS].0
    }

    #[inline]
    pub(crate) fn find<Q>(&self, hash: u64, key: &Q) -> Option<Arc<HostCell<C>>>
    where
        C::Key: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.shard(hash).lock().find(hash, key).cloned()
    }

    /// Returns the host in the directory with the key of this one, and enters this one if there is
    /// none. A forgotten host is never used again.
    pub(crate) fn enter(&self, cell: &Arc<HostCell<C>>) -> Arc<HostCell<C>> {
        let spare = if cell.look(|state| state.listing()) == Listing::New {
            cell.clone()
        } else {
            cell.again()
        };
        let mut hosts = self.shard(cell.hash).lock();
        if let Some(listed) = hosts.find(cell.hash, &cell.key) {
            let listed = listed.clone();
            drop(hosts);
            return listed;
        }
        // Read under this lock: a later close finds the host here.
        spare.enter(cell.pool.phase());
        hosts.listed.insert_unique(spare.hash, spare.clone(), |host| host.hash);
        drop(hosts);
        cell.pool.settings.observer.tell(|observer| observer.host_appeared(&spare));
        spare
    }

    /// Removes a host that is not needed. A caller may have arrived since that was seen, so it is
    /// checked again.
    pub(super) fn forget(&self, cell: &Arc<HostCell<C>>, news: &mut News) {
        let mut hosts = self.shard(cell.hash).lock();
        let Some((counted, actions)) = cell.forget() else { return };
        hosts.past.get_or_insert_default().add_past(&counted);
        let gone = hosts.listed.find_entry(cell.hash, |host| Arc::ptr_eq(host, cell));
        let gone = gone.ok().map(|entry| entry.remove().0);
        // Frees the memory of many hosts that were visited once.
        if hosts.listed.capacity() > 14 && hosts.listed.len() * 8 < hosts.listed.capacity() {
            hosts.listed.shrink_to_fit(|host| host.hash);
        }
        drop(hosts);
        drop(gone);
        let cell: Cell = cell.clone();
        carry_out_but_tell(&cell, actions, news);
        news.note(Item::Forgotten(cell));
    }

    /// Returns all hosts, and the counts of the forgotten ones.
    pub(crate) fn all(&self) -> (Vec<Arc<HostCell<C>>>, Counted) {
        let (mut cells, mut past) = (Vec::new(), Counted::default());
        for shard in &self.0 {
            let hosts = shard.0.lock();
            cells.extend(hosts.listed.iter().cloned());
            hosts.past.iter().for_each(|counted| past.add_past(counted));
        }
        (cells, past)
    }

    #[cfg(all(test, wharf_loom))]
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.0.lock().listed.len()).sum()
    }
}
