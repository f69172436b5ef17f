//! A host and its pool with the types of their connector.

use std::any::Any;
use std::borrow::Borrow;
use std::error::Error;
use std::fmt;
use std::hash::Hash;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use tokio::time::Instant;

use super::any_host::{AnyHost, Later};
use super::any_pool::AnyPool;
use super::directory::{Listed, SHARDS};
use super::end::Untold;
use super::failure::DialError;
use super::held;
use super::host_base::HostBase;
use super::panics;
use super::parts::{Cell, Value};
use super::pool_base::PoolBase;
use super::pool_core;
use super::rules::Rules;
use crate::engine::status::Counted;
use crate::engine::{Listing, Proof, Purpose};
use crate::policy::connector::{Connector, ShownKey};

/// The shared state of one host. It does not keep the host in the directory. The fields that a hit
/// uses come first.
#[repr(C)]
pub(crate) struct HostCell<C: Connector> {
    pub(crate) pool: Arc<PoolCore<C>>,
    base: HostBase,
    pub(crate) key: C::Key,
}

pub(crate) type PoolCore<C> = pool_core::PoolCore<C, HostCell<C>>;

/// A connection of this connector's type, in its box.
pub(crate) type Held<C> = held::Held<<C as Connector>::Connection, Arc<HostCell<C>>>;

/// A connection on loan.
pub(crate) type Loan<C> = Box<Held<C>>;

impl<C: Connector> Deref for HostCell<C> {
    type Target = HostBase;

    #[inline]
    fn deref(&self) -> &HostBase {
        &self.base
    }
}

impl<C: Connector> HostCell<C> {
    #[cold]
    fn new(pool: Arc<PoolCore<C>>, key: C::Key, hash: u64) -> Arc<Self> {
        let carries = pool.expected_leases(&key);
        let rules = pool.rules_of(&key);
        let base = HostBase::new(&pool, hash, carries, rules);
        Arc::new(HostCell { pool, base, key })
    }

    /// Returns the host in the directory with this key.
    pub(crate) fn listed(&self) -> Option<Arc<Self>> {
        self.pool.directory.find(self.base.hash, &self.key)
    }

    /// Returns this host without the types of its connector.
    ///
    /// Not inlined: the compiler would compile all that drops a host again near each place where this is done.
    #[inline(never)]
    pub(crate) fn into_any(self: Arc<Self>) -> Cell {
        self
    }

    pub(crate) fn any(self: &Arc<Self>) -> Cell {
        self.clone().into_any()
    }

    /// See [`into_any`](Self::into_any).
    #[inline(never)]
    pub(crate) fn as_any(&self) -> &dyn AnyHost {
        self
    }

    /// The reverse of [`into_any`](Self::into_any).
    pub(crate) fn typed(cell: Cell) -> Arc<Self> {
        cell.untyped().downcast().expect("a pool has hosts of its own connector only")
    }
}

/// The host's key, as logs, errors and observers see it.
impl<C: Connector> fmt::Debug for HostCell<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ShownKey(&self.pool.connector, &self.key).fmt(f)
    }
}

impl<C: Connector> Listed for HostCell<C> {
    type Key = C::Key;

    #[inline]
    fn key(&self) -> &C::Key {
        &self.key
    }

    #[inline]
    fn hash(&self) -> u64 {
        self.base.hash
    }
}

impl<C: Connector> AnyHost for HostCell<C> {
    fn base(&self) -> &HostBase {
        &self.base
    }

    fn pool(&self) -> &PoolBase {
        &self.pool
    }

    fn untyped(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn pool_ref(&self) -> Arc<dyn AnyPool> {
        self.pool.any()
    }

    fn enter(self: Arc<Self>) -> Option<Cell> {
        let pool = self.pool.clone();
        let _untold = Untold::of(&*self);
        // A forgotten host is never used again.
        let spare = match self.listing() {
            Listing::New => self,
            _ => HostCell::new(pool.clone(), self.key.clone(), self.base.hash),
        };
        // The phase is read under the directory's lock: a later close finds the host there.
        let listed = pool.directory.enter(&spare, || spare.base.enter(pool.phase()))?;
        if Arc::ptr_eq(&listed, &spare) {
            pool.observer.tell(|observer| observer.host_appeared(&spare));
        }
        let listed = listed.into_any();
        if !listed.base().follows(&pool.rules()) {
            // The settings have changed since it was made; those who changed them may not have found it.
            listed.follow_pool();
        }
        Some(listed)
    }

    fn own_rules(&self) -> Arc<Rules> {
        self.pool.rules_of(&self.key)
    }

    fn leave(self: Arc<Self>, forget: &mut dyn FnMut() -> Option<Counted>) {
        self.pool.directory.remove(&self, forget);
    }

    fn connect(&self) -> Later<'_, Result<Value, DialError>> {
        Box::pin(async move {
            match self.pool.connector.connect(&self.key).await {
                Ok(connection) => Ok(Held::<C>::boxed(connection)),
                Err(error) => Err(self.pool.without_type(error)),
            }
        })
    }

    fn ping<'a>(&'a self, purpose: Purpose, value: &'a mut Value) -> Later<'a, bool> {
        let (connector, held) = (&self.pool.connector, Held::<C>::of_mut(value));
        Box::pin(async move {
            match purpose {
                Purpose::Reset => connector.reset(&mut held.connection).await.is_ok(),
                Purpose::Health | Purpose::Heartbeat => {
                    connector.ping(&mut held.connection).await.is_ok()
                }
            }
        })
    }

    fn close(&self, value: Value) -> Later<'_, ()> {
        let connection = Held::<C>::own(value).connection;
        Box::pin(async move { self.pool.connector.close(connection).await })
    }

    fn leases_if_open(&self, value: &mut Value) -> usize {
        self.pool.max_leases_if_open(&mut Held::<C>::of_mut(value).connection)
    }

    fn leases(&self, value: &Value) -> usize {
        self.pool.max_leases(&Held::<C>::of(value).connection)
    }

    fn proof(&self, value: &mut Value) -> Proof {
        let rules = self.pool.rules();
        self.pool.proof(&mut Held::<C>::of_mut(value).connection, &rules.common.limits)
    }

    fn last_heard(&self, value: &Value) -> Option<Instant> {
        self.pool.connector.last_heard(&Held::<C>::of(value).connection)
    }

    fn peer_addr(&self, value: &Value) -> Option<SocketAddr> {
        self.pool.connector.peer_addr(&Held::<C>::of(value).connection)
    }
}

/// # Dials
impl<C: Connector> PoolCore<C> {
    /// Calls the user's code; a panic in `is_retryable` counts as no.
    fn without_type(&self, error: C::Error) -> DialError {
        let is_retryable = panics::catch("is_retryable", || self.connector.is_retryable(&error));
        let error: Box<dyn Error + Send + Sync> = error.into();
        DialError { error: error.into(), is_retryable: is_retryable.unwrap_or(false) }
    }
}

/// # Hosts
impl<C: Connector> PoolCore<C> {
    /// Returns the host with this key, if the pool knows it.
    #[inline]
    pub(crate) fn find<Q>(&self, key: &Q) -> Option<Arc<HostCell<C>>>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.directory.find(self.hash(key), key)
    }

    /// Returns the host with this key, or a new one that enters the directory when a caller joins
    /// it: an acquire that is never polled leaves nothing behind.
    #[inline]
    pub(crate) fn host<Q>(self: &Arc<Self>, key: &Q) -> Arc<HostCell<C>>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        let hash = self.hash(key);
        match self.directory.find(hash, key) {
            Some(cell) => cell,
            None => HostCell::new(self.clone(), key.to_owned(), hash),
        }
    }

    /// Returns what governs the host with this key. It calls user code.
    fn rules_of(&self, key: &C::Key) -> Arc<Rules> {
        let rules = self.rules();
        match self.overrides.of(&self.connector, key) {
            None => rules,
            Some(own) => {
                let config = own.over(&rules.config);
                let limits = self.limits(&config);
                Arc::new(rules.of_host(config, limits))
            }
        }
    }

    /// Returns the hosts in the directory.
    pub(crate) fn typed_hosts(&self) -> Vec<Arc<HostCell<C>>> {
        let mut cells = Vec::new();
        for shard in 0..SHARDS {
            self.directory.visit(shard, &mut |cell| cells.push(cell.clone()));
        }
        cells
    }

    /// Returns this pool without the types of its connector. Not inlined, as for a host.
    #[inline(never)]
    pub(crate) fn any(self: &Arc<Self>) -> Arc<dyn AnyPool> {
        self.clone()
    }

    #[inline]
    pub(crate) fn ensure_maintenance(self: &Arc<Self>) {
        if self.maintenance.is_missing() {
            self.any().ensure_maintenance();
        }
    }
}

impl<C: Connector> AnyPool for PoolCore<C> {
    fn base(&self) -> &PoolBase {
        self
    }

    fn hosts_of(&self, shard: usize, cells: &mut Vec<Cell>) -> Counted {
        self.directory.visit(shard, &mut |cell| cells.push(cell.any()))
    }
}
