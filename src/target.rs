//! A host as the shell knows it: its key, and where its state is.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::connector::Connector;
use crate::core::{Core, Shell};
use crate::engine::time::Time;
use crate::engine::{Effects, Engine, HostId, Lent, Place};
use crate::pooled_connection::{Lendable, Parcel, PooledConnection};
use crate::sync::{MutexGuard, Notify};

/// Shared by all that has to do with one host. It does not keep the host in the map.
///
/// What a hit needs comes first.
#[repr(C)]
pub(crate) struct Target<C: Connector> {
    pub(crate) core: Arc<Core<C>>,
    shard: usize,
    pub(crate) id: HostId,
    /// Whoever asked last had to wait.
    crowded: AtomicBool,
    pub(crate) key: C::Key,
    hash: u64,
    /// Told when a ping in the background may have to be given up.
    pub(crate) hurry: Notify,
}

impl<C: Connector> std::fmt::Debug for Target<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.key.fmt(f)
    }
}

/// An idle connection that is lent.
pub(crate) struct Hit<C: Connector> {
    pub(crate) connection: Parcel<C>,
    /// It must answer a ping first.
    pub(crate) must_ping: bool,
}

/// Why no idle connection was lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nobody has looked: others wait.
    NotLooked,
    NoneIdle,
    Closed,
}

/// Which host an acquire is for.
pub(crate) enum Aim<C: Connector> {
    Known(Arc<Target<C>>),
    /// Not in the map when it was looked up. It gets there when the acquire is first polled, so
    /// that one that is never polled leaves nothing behind.
    New(Box<NewHost<C>>),
}

pub(crate) struct NewHost<C: Connector> {
    core: Arc<Core<C>>,
    /// Until the host is in the map.
    key: Option<C::Key>,
    hash: u64,
    /// Leases that its first connection is taken to carry.
    carries: usize,
}

const UNUSED: &str = "it is asked before it enters the map";

impl<C: Connector> NewHost<C> {
    fn key(&self) -> &C::Key {
        self.key.as_ref().expect(UNUSED)
    }

    /// The host, which is in the map of its engine from now on, if it was not there before.
    fn enter(
        &mut self,
        engine: &mut Engine<Shell<C>>,
        fx: &mut Effects<Shell<C>>,
    ) -> Arc<Target<C>> {
        let (core, hash) = (&self.core, self.hash);
        if let Some(target) = engine.find(hash, |target| target.key == *self.key()) {
            return target.clone();
        }
        let (core, key, shard) =
            (core.clone(), self.key.take().expect(UNUSED), core.shard_of(hash));
        let (crowded, hurry) = (AtomicBool::new(false), Notify::new());
        let make = |id| Arc::new(Target { core, shard, id, crowded, key, hash, hurry });
        engine.enter((hash, self.carries), make, fx)
    }
}

impl<C: Connector> Aim<C> {
    /// Looks a key up. It is cloned only when its host is new.
    pub(crate) fn at<Q>(core: &Arc<Core<C>>, key: &Q) -> Aim<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        let hash = core.hash(key);
        match Target::find(core, hash, key) {
            Some(target) => Aim::Known(target),
            None => Aim::new(core, key.to_owned(), hash),
        }
    }

    #[cold]
    fn new(core: &Arc<Core<C>>, key: C::Key, hash: u64) -> Self {
        let carries = core.expected_leases(&key);
        Aim::New(Box::new(NewHost { core: core.clone(), key: Some(key), hash, carries }))
    }

    /// Looks up again, for a host that was forgotten since.
    #[cold]
    pub(crate) fn again(&self) -> Self {
        let (core, key, hash) = match self {
            Aim::Known(target) => (&target.core, &target.key, target.hash),
            Aim::New(new) => (&new.core, new.key(), new.hash),
        };
        match Target::find(core, hash, key) {
            Some(target) => Aim::Known(target),
            None => Aim::new(core, key.clone(), hash),
        }
    }

    /// Changes the host's engine, with the host in its map: made, if it was new. Where it is there no
    /// more, the aim comes back: look it up [`again`](Aim::again).
    pub(crate) fn enter<R>(
        self,
        now: Time,
        change: impl FnOnce(HostId, &mut Engine<Shell<C>>, &mut Effects<Shell<C>>) -> R,
    ) -> Result<(Arc<Target<C>>, R), Self> {
        match self {
            Aim::Known(target) => {
                let id = target.id;
                // What is not called is dropped when the lock is released.
                let changed = target.change_at(now, |engine, _, fx| {
                    if engine.knows(id) { Ok(change(id, engine, fx)) } else { Err(change) }
                });
                match changed {
                    Ok(result) => Ok((target, result)),
                    Err(_) => Err(Aim::Known(target)),
                }
            }
            Aim::New(mut new) => {
                let core = new.core.clone();
                Ok(core.change_at(now, core.shard_of(new.hash), |engine, _, fx| {
                    let target = new.enter(engine, fx);
                    let result = change(target.id, engine, fx);
                    (target, result)
                }))
            }
        }
    }

    /// The host, if it is known, or has come to be there since the look-up.
    pub(crate) fn find(&self) -> Option<Arc<Target<C>>> {
        match self {
            Aim::Known(target) => Some(target.clone()),
            Aim::New(new) => Target::find(&new.core, new.hash, new.key()),
        }
    }

    pub(crate) fn key(&self) -> &C::Key {
        match self {
            Aim::Known(target) => &target.key,
            Aim::New(new) => new.key(),
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core<C>> {
        match self {
            Aim::Known(target) => &target.core,
            Aim::New(new) => &new.core,
        }
    }
}

impl<C: Connector> Target<C> {
    pub(crate) fn find<Q>(core: &Arc<Core<C>>, hash: u64, key: &Q) -> Option<Arc<Self>>
    where
        C::Key: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let engine = core.engine(core.shard_of(hash));
        engine.find(hash, |target| target.key.borrow() == key).cloned()
    }

    /// Whether the next one will hardly find anything idle: it joins the queue without a look of its
    /// own, for joining looks too.
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    /// Notes whether somebody had to wait.
    pub(crate) fn note_crowded(&self, crowded: bool) {
        if self.is_crowded() != crowded {
            self.crowded.store(crowded, Ordering::Relaxed);
        }
    }

    pub(crate) fn engine(&self) -> MutexGuard<'_, Engine<Shell<C>>> {
        self.core.engine(self.shard)
    }

    /// Changes the host's engine and carries out what it decides.
    pub(crate) fn change<R>(
        &self,
        f: impl FnOnce(&mut Engine<Shell<C>>, Time, &mut Effects<Shell<C>>) -> R,
    ) -> R {
        self.core.change(self.shard, f)
    }

    /// Changes the host's engine at a time that was read before, and carries out what it decides.
    pub(crate) fn change_at<R>(
        &self,
        now: Time,
        f: impl FnOnce(&mut Engine<Shell<C>>, Time, &mut Effects<Shell<C>>) -> R,
    ) -> R {
        self.core.change_at(now, self.shard, f)
    }

    /// Lends an idle connection that is open. Those found not open are closed.
    #[inline]
    pub(crate) fn lend(&self, place: Place) -> Result<Hit<C>, Missing> {
        self.lend_by(|engine, now| engine.lend(self.id, now, place))
    }

    #[inline]
    fn lend_by(
        &self,
        lend: impl Fn(&mut Engine<Shell<C>>, Time) -> Lent<Lendable<C>>,
    ) -> Result<Hit<C>, Missing> {
        self.core.ensure_upkeep();
        loop {
            let now = self.core.clock.now();
            // Each case lets go of the lock by itself: a common end would cost more than the case.
            let mut engine = self.engine();
            match lend(&mut engine, now) {
                Lent::Connection { mut connection, must_ping, look } => {
                    drop(engine);
                    if look {
                        self.core.wake_upkeep();
                    }
                    let told = connection.max_leases;
                    if !self.core.is_open(&mut connection) {
                        self.bury_unlent(connection);
                    } else if connection.max_leases == told || self.fits(&connection) {
                        return Ok(Hit { connection, must_ping });
                    } else {
                        self.unlend(connection);
                    }
                }
                Lent::Stale => {
                    drop(engine);
                    self.sweep();
                }
                Lent::Nothing => return Err(Missing::NoneIdle),
                Lent::Closed => return Err(Missing::Closed),
            }
        }
    }

    /// Lends an idle connection as a loan, if there is one that is open and needs no ping.
    pub(crate) fn try_lend(self: Arc<Self>, place: Place) -> Option<PooledConnection<C>> {
        let hit = self.lend_by(|engine, now| engine.lend_unpinged(self.id, now, place)).ok()?;
        let loan = PooledConnection::new(hit.connection, self);
        PooledConnection::tell_acquired(&loan, Duration::ZERO);
        Some(loan)
    }

    /// Whether this lease is not one too many, now that the connection takes another number.
    #[cold]
    fn fits(&self, lease: &Parcel<C>) -> bool {
        let at = self.id.index;
        self.change(|engine, now, fx| engine.max_leases_told(at, lease, now, fx))
    }

    #[cold]
    fn unlend(&self, lease: Parcel<C>) {
        let at = self.id.index;
        self.change(|engine, now, fx| engine.unlend(at, lease, now, fx));
    }

    #[cold]
    fn bury_unlent(&self, connection: Parcel<C>) {
        let at = self.id.index;
        self.change(|engine, now, fx| engine.bury_unlent(at, connection, now, fx));
    }

    #[cold]
    fn sweep(&self) {
        self.change(|engine, now, fx| {
            if engine.knows(self.id) {
                engine.sweep(self.id.index, now, fx);
            }
        });
    }
}
