//! The state that all handles, guards and tasks of a pool share.
//!
//! # What keeps it alive
//!
//! Handles (`Pool`, `Host`) are counted separately from references: the hosts in the directory
//! refer back to the core, and so do guards and tasks. Dropping the last handle closes idle
//! connections. Each host is forgotten when its last connection is gone, and its reference is
//! dropped with it.

#[cfg(not(wharf_loom))]
use std::hash::RandomState;
use std::hash::{BuildHasher, Hash};
use std::ops::Deref;

use super::directory::{Directory, Listed};
use super::panics::{self, Panicked};
use super::parts::Split;
use super::pool_base::PoolBase;
use super::settings::Settings;
use crate::engine::{Proof, Use};
use crate::policy::close_reason::CloseReason;
use crate::policy::config::Config;
use crate::policy::connector::{Connector, has_ping};
use crate::policy::health_check::HealthCheck;
use crate::policy::limits::Limits;
use crate::policy::time::Span;

/// In models every run is the same.
#[cfg(wharf_loom)]
type RandomState = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// What a pool of shared connections needs in addition to its connector.
pub(crate) struct Sharing<C: Connector> {
    pub(crate) share: Split,
    pub(crate) max_leases: fn(&C, &C::Connection) -> usize,
    pub(crate) expected_leases: fn(&C, &C::Key) -> usize,
    /// Drops what a borrower has of its own. This is user code.
    pub(crate) leave: fn(&mut C::Connection),
}

/// See the module. `H` is a host, which refers back to its pool.
#[repr(C)]
pub(crate) struct PoolCore<C: Connector, H> {
    base: PoolBase,
    pub(crate) connector: C,
    sharing: Option<Sharing<C>>,
    hasher: RandomState,
    pub(crate) directory: Directory<H>,
}

impl<C: Connector, H> Deref for PoolCore<C, H> {
    type Target = PoolBase;

    #[inline]
    fn deref(&self) -> &PoolBase {
        &self.base
    }
}

impl<C: Connector, H: Listed> PoolCore<C, H> {
    pub(crate) fn new(connector: C, settings: Settings, sharing: Option<Sharing<C>>) -> Self {
        let share = sharing.as_ref().map(|sharing| sharing.share);
        let limits = limits_of(&connector, &settings.config);
        let base = PoolBase::new(limits, share, settings);
        PoolCore {
            base,
            connector,
            sharing,
            hasher: RandomState::default(),
            directory: Directory::new(),
        }
    }

    /// Returns what the engine reads of these settings.
    pub(super) fn limits(&self, config: &Config) -> Limits {
        limits_of(&self.connector, config)
    }

    #[inline]
    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }
}

/// The connector has a say in how connections are checked.
fn limits_of<C: Connector>(connector: &C, config: &Config) -> Limits {
    let mut limits = config.limits();
    let needs_pings = config.health_check == HealthCheck::AsNeeded && !connector.notices_close();
    if needs_pings || connector.pings_each_loan() {
        limits.ping_after = Span::ZERO;
    }
    limits
}

/// # Asking the connector
impl<C: Connector, H> PoolCore<C, H> {
    /// Returns how many leases the connection takes now: none if it is not open.
    #[inline]
    pub(crate) fn max_leases_if_open(&self, connection: &mut C::Connection) -> usize {
        if self.is_open(connection) { self.max_leases(connection) } else { 0 }
    }

    #[inline]
    pub(crate) fn is_open(&self, connection: &mut C::Connection) -> bool {
        panics::catch("is_open", || self.connector.is_open(connection)).unwrap_or(false)
    }

    /// Returns how the use of a connection ended that returned and is not open.
    #[cold]
    pub(crate) fn how_it_closed(&self, connection: &mut C::Connection) -> Use {
        let has_failed = panics::catch("has_failed", || self.connector.has_failed(connection));
        if has_failed.unwrap_or(false) { Use::Failed } else { Use::Over(CloseReason::NotOpen) }
    }

    /// Returns what proves that the peer of this connection lives, if this pool is to know that.
    pub(super) fn proof(&self, connection: &mut C::Connection, limits: &Limits) -> Proof {
        if limits.ping_after == Span::FOREVER && limits.heartbeat.is_none() {
            return Proof::Ping;
        }
        let is_heard = |connection: &C::Connection| {
            panics::catch("last_heard", || self.connector.last_heard(connection)).ok().flatten()
        };
        match panics::catch("ping", || has_ping(&self.connector, connection)) {
            Ok(false) => Proof::Nothing,
            Ok(true) if is_heard(connection).is_some() => Proof::Heard,
            Ok(true) | Err(Panicked) => Proof::Ping,
        }
    }

    /// A lease ends. The share may go to the next borrower, who gets a clone of its own.
    #[inline]
    pub(crate) fn leave(&self, connection: &mut C::Connection) {
        if let Some(sharing) = &self.sharing {
            let _ = panics::catch("the drop of a connection", || (sharing.leave)(connection));
        }
    }

    /// Returns whether a connection that returned open needs a reset.
    #[inline]
    pub(crate) fn needs_reset(&self, connection: &C::Connection) -> Result<bool, Panicked> {
        panics::catch("needs_reset", || self.connector.needs_reset(connection))
    }

    /// Returns whether a connection that returned open may be dead.
    #[inline]
    pub(crate) fn is_doubted(&self, connection: &C::Connection) -> bool {
        panics::catch("is_doubted", || self.connector.is_doubted(connection)).unwrap_or(true)
    }

    pub(super) fn max_leases(&self, connection: &C::Connection) -> usize {
        let Some(sharing) = &self.sharing else { return 1 };
        let ask = || (sharing.max_leases)(&self.connector, connection);
        panics::catch("max_leases", ask).unwrap_or(0)
    }

    /// Returns how many leases a connection to a new host is expected to carry.
    pub(super) fn expected_leases(&self, key: &C::Key) -> usize {
        let Some(sharing) = &self.sharing else { return 1 };
        let ask = || (sharing.expected_leases)(&self.connector, key);
        panics::catch("expected_leases", ask).map_or(usize::MAX, |leases| leases.max(1))
    }
}
