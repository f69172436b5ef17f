//! A host behind its lock, which carries out the host's decisions.
//!
//! No user code runs under the lock: no drop of a connection, no clone of a waker, no `is_open`.

use crate::engine::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;

use super::failure::AnyError;
use super::held::{Held, Loan};
use super::news::{Item, News};
use super::parts::{
    Actions, AnyHost, AnyPool, Cell, HostState, Later, Lent, Section, Value, Waiter,
};
use super::pool_core::{PoolBase, PoolCore};
use super::scheduled::Scheduled;
use super::{close, dial, panics, ping, task};
use crate::engine::schedule::Look;
use crate::engine::status::Counted;
use crate::engine::sync::Mutex;
use crate::engine::{CallSite, Ended, Phase, Purpose, Returned, Use};
use crate::policy::close_reason::CloseReason;
use crate::policy::connector::{Connector, ShownKey};
use crate::policy::time::Time;

/// The shared state of one host. It does not keep the host in the directory. The fields that a hit
/// uses come first.
#[repr(C)]
pub(crate) struct HostCell<C: Connector> {
    pub(crate) pool: Arc<PoolCore<C>>,
    pub(super) base: HostBase,
    pub(crate) key: C::Key,
}

/// What does not depend on the connector.
#[repr(C)]
pub(crate) struct HostBase {
    /// Whether there were waiters when the lock was last released: callers then skip the first
    /// attempt. A stale `true` costs a slower attempt, a stale `false` one more lock. The attempt
    /// and the joining are under one lock, so no waiter is overtaken.
    crowded: AtomicBool,
    state: Mutex<HostState>,
    /// Never reused for another host.
    pub(super) id: u64,
    pub(crate) hash: u64,
}

impl<C: Connector> std::ops::Deref for HostCell<C> {
    type Target = HostBase;

    #[inline]
    fn deref(&self) -> &HostBase {
        &self.base
    }
}

/// The host's key, as logs, errors and observers see it.
impl<C: Connector> std::fmt::Debug for HostCell<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        ShownKey(&self.pool.connector, &self.key).fmt(f)
    }
}

impl<C: Connector> AnyHost for HostCell<C> {
    fn base(&self) -> &HostBase {
        &self.base
    }

    fn pool(&self) -> &PoolBase {
        &self.pool.base
    }

    fn pool_ref(&self) -> Arc<dyn AnyPool> {
        self.pool.clone()
    }

    fn leave_directory(self: Arc<Self>, news: &mut News) {
        self.pool.directory.forget(&self, news);
    }

    fn ask_full_peers(self: Arc<Self>) {
        self.ask_peers();
    }

    fn connect(&self) -> Later<'_, Result<Value, Arc<dyn AnyError>>> {
        Box::pin(async move {
            match self.pool.connector.connect(&self.key).await {
                Ok(connection) => Ok(Held::<C>::boxed(connection)),
                Err(error) => Err(Arc::new(error) as Arc<dyn AnyError>),
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

    fn peer_addr(&self, value: &Value) -> Option<SocketAddr> {
        self.pool.connector.peer_addr(&Held::<C>::of(value).connection)
    }

    fn is_retryable(&self, error: &dyn AnyError) -> bool {
        let error: &dyn std::any::Any = error;
        error.downcast_ref().is_some_and(|error| self.pool.connector.is_retryable(error))
    }
}

impl HostBase {
    pub(super) fn new(id: u64, hash: u64, state: HostState) -> Self {
        HostBase { crowded: AtomicBool::new(false), state: Mutex::new(state), id, hash }
    }

    /// Reads the host's state.
    pub(crate) fn look<R>(&self, f: impl FnOnce(&HostState) -> R) -> R {
        f(&self.state.lock())
    }

    /// Reads the host's state, which remembers what was looked for. It decides nothing.
    pub(crate) fn look_for<R>(&self, f: impl FnOnce(&mut HostState) -> R) -> R {
        f(&mut self.state.lock())
    }

    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Relaxed)
    }

    #[inline]
    pub(super) fn note_crowded(&self, crowded: bool) {
        if self.is_crowded() != crowded {
            self.crowded.store(crowded, Relaxed);
        }
    }

    /// The host is in the directory from now on. Called under the directory's lock.
    pub(super) fn enter(&self, phase: Phase) {
        self.state.lock().enter(phase);
    }
}

type Decide<'a> = &'a mut dyn FnMut(&mut HostState, &mut Section<'_>);

impl dyn AnyHost {
    pub(super) fn look<R>(&self, f: impl FnOnce(&HostState) -> R) -> R {
        self.base().look(f)
    }

    /// See [`HostCell::forget`].
    fn forget(self: &Arc<Self>) -> Option<(Counted, Actions)> {
        let mut section = self.section();
        let mut state = self.base().state.lock();
        if !state.forget(&mut section) {
            return None;
        }
        self.pool().schedule.lock().change(Scheduled(self.clone()), state.look(), None);
        let counted = state.counted();
        drop(state);
        Some((counted, section.actions))
    }

    fn section(self: &Arc<Self>) -> Section<'_> {
        let pool = self.pool();
        Section {
            now: pool.clock.exact(),
            random: fastrand::f64(),
            common: &pool.common,
            host: self,
            actions: Actions::default(),
        }
    }

    pub(super) fn change_by(self: &Arc<Self>, f: Decide<'_>) {
        let actions = self.decide_by(f);
        carry_out(self, actions);
    }

    /// Changes the host's state on the slow path, and carries out the actions.
    pub(super) fn change<R>(
        self: &Arc<Self>,
        f: impl FnOnce(&mut HostState, &mut Section<'_>) -> R,
    ) -> R {
        let (mut f, mut result) = (Some(f), None);
        self.change_by(&mut |state, section| result = f.take().map(|f| f(state, section)));
        result.expect("it was called")
    }

    pub(super) fn decide<R>(
        self: &Arc<Self>,
        f: impl FnOnce(&mut HostState, &mut Section<'_>) -> R,
    ) -> (R, Actions) {
        let (mut f, mut result) = (Some(f), None);
        let actions =
            self.decide_by(&mut |state, section| result = f.take().map(|f| f(state, section)));
        (result.expect("it was called"), actions)
    }

    /// The same for maintenance; the events are reported later.
    pub(super) fn maintain(self: &Arc<Self>, news: &mut News, f: Decide<'_>) {
        let actions = self.decide_by(f);
        carry_out_but_tell(self, actions, news);
    }

    /// Changes the host's state. The caller carries out the actions.
    pub(super) fn decide_by(self: &Arc<Self>, f: Decide<'_>) -> Actions {
        let (base, pool) = (self.base(), self.pool());
        let mut section = self.section();
        let mut state = base.state.lock();
        let (entries, look) = (state.entries(), state.look());
        f(&mut state, &mut section);
        state.finish(&mut section);
        let is_empty = pool.count_entries(entries, state.entries());
        self.reschedule(&state, look, &mut section);
        base.note_crowded(state.waiting() > 0);
        drop(state);
        if is_empty {
            pool.drained.notify_waiters();
        }
        section.actions
    }

    /// Moves the host in the schedule, if its next look has changed.
    fn reschedule(self: &Arc<Self>, state: &HostState, old: Look, section: &mut Section<'_>) {
        let new = state.look();
        // If it is due, maintenance may have removed it from the schedule.
        if new == old && new.at > section.now {
            return;
        }
        let next = (new.at != Time::NEVER).then_some(new);
        let is_first = self.pool().schedule.lock().change(Scheduled(self.clone()), old, next);
        section.actions.maintain |= is_first;
    }

    fn return_slowly(self: &Arc<Self>, lent: Lent, how: Use) {
        self.change(|state, section| state.returned(lent, how, section));
    }
}

impl<C: Connector> HostCell<C> {
    pub(super) fn new(
        pool: Arc<PoolCore<C>>,
        id: u64,
        (key, hash): (C::Key, u64),
        state: HostState,
    ) -> Self {
        HostCell { pool, base: HostBase::new(id, hash, state), key }
    }

    /// Returns the key in its `Debug` form, for errors. That is user code and may panic.
    #[cold]
    pub(crate) fn name(&self) -> Box<str> {
        let name = panics::catch("the Debug of a key", || format!("{self:?}"));
        name.map_or_else(|_| "a key whose Debug panics".into(), String::into_boxed_str)
    }

    /// Makes another host for the same key.
    pub(super) fn again(&self) -> Arc<Self> {
        self.pool.new_host(self.key.clone(), self.base.hash)
    }

    fn any(self: &Arc<Self>) -> Cell {
        self.clone()
    }

    /// Leaves the directory, whose lock is held, if the host is not needed any more. Returns its
    /// counts, and the actions to carry out when that lock is released.
    pub(super) fn forget(self: &Arc<Self>) -> Option<(Counted, Actions)> {
        self.any().forget()
    }

    /// Changes the host's state on the slow path, and carries out the actions.
    pub(crate) fn change<R>(
        self: &Arc<Self>,
        f: impl FnOnce(&mut HostState, &mut Section<'_>) -> R,
    ) -> R {
        self.any().change(f)
    }
}

/// # Lending and returning
impl<C: Connector> HostCell<C> {
    /// Joins the queue on the fast path, if there are waiters already. Returns how many.
    #[inline]
    pub(crate) fn join_crowd(&self, waiter: &Arc<Waiter>) -> Option<usize> {
        if !self.is_crowded() || self.pool.is_closed() {
            return None;
        }
        self.base.state.lock().join_crowd(waiter, &self.pool.common)
    }

    /// Leaves the queue on the fast path, if that is all there is to do. Returns whether it did.
    pub(crate) fn leave_crowd(&self, waiter: &Waiter) -> bool {
        let now = self.pool.clock.exact();
        let unused = self.base.state.lock().leave_crowd(waiter, now);
        let has_left = unused.is_some();
        let _ = panics::catch("a waker", || drop(unused));
        has_left
    }

    /// Lends an open connection on the fast path. Connections found not open are closed.
    #[inline]
    pub(crate) fn lend(self: &Arc<Self>, call_site: CallSite) -> Option<Loan<C>> {
        loop {
            let pool = &self.pool;
            let now = pool.clock.now();
            let holder = pool.settings.deadlock_warnings.then(task::current);
            let mut state = self.base.state.lock();
            let loan = state.lend_as(now, call_site, &pool.common, Held::<C>::lent)?;
            if let Some(task) = holder {
                state.note_holder(loan.ticket, task);
            }
            let known = if pool.common.is_plain { 1 } else { state.max_leases(loan.ticket.slot) };
            drop(state);
            if let Some(loan) = self.check_lent(loan, Some(known)) {
                return Some(loan);
            }
        }
    }

    /// Lends an open connection that needs no ping, on the fast path or the slow path.
    pub(crate) fn try_lend(self: &Arc<Self>, call_site: CallSite) -> Option<Loan<C>> {
        if let Some(loan) = self.lend(call_site) {
            return Some(loan);
        }
        let (borrower, mut has_asked) = (self.pool.borrower(call_site), false);
        loop {
            if let Some(loan) = self.change(|state, section| state.lend_any(borrower, section)) {
                if let Some(loan) = self.check_lent(Held::lent(loan), None) {
                    return Some(loan);
                }
            } else if std::mem::replace(&mut has_asked, true) || !self.ask_peers() {
                return None;
            }
        }
    }

    /// Checks a connection that was lent without a wait: whether it is open, and whether it takes
    /// its leases, unless that is known from when it was lent.
    #[inline]
    pub(crate) fn check_lent(
        self: &Arc<Self>,
        mut loan: Loan<C>,
        known: Option<u32>,
    ) -> Option<Loan<C>> {
        let max_leases = self.pool.max_leases_if_open(&mut loan.connection);
        if known.is_some_and(|known| known as usize == max_leases) {
            return Some(loan);
        }
        self.check_leases(loan, max_leases)
    }

    #[cold]
    fn check_leases(self: &Arc<Self>, loan: Loan<C>, max_leases: usize) -> Option<Loan<C>> {
        if max_leases == 0 {
            self.close_unlent(loan);
            return None;
        }
        if !self.pool.common.is_shared() {
            return Some(loan);
        }
        let slot = loan.ticket.slot;
        if self.change(|state, _| state.takes_its_leases(slot, max_leases)) {
            return Some(loan);
        }
        let lent = loan.erased();
        self.change(|state, section| {
            state.unlend();
            state.returned(lent, Use::Unused { max_leases }, section);
        });
        None
    }

    /// Asks the peers of full connections how many leases they take now, for waiting callers.
    /// Returns whether a limit has changed.
    ///
    /// # Race window
    ///
    /// A connection whose last lease ends meanwhile may be closed while the share used here still
    /// lives.
    pub(crate) fn ask_peers(self: &Arc<Self>) -> bool {
        let pool = &self.pool;
        if !pool.common.is_shared() {
            return false;
        }
        let mut is_news = false;
        for mut peer in self.look(|state| state.full_peers(&pool.common)) {
            if pool.max_leases(&Held::<C>::of(&peer.connection).connection)
                != peer.max_leases as usize
            {
                is_news = true;
                // A dead one may report room: waiters must not get it.
                let max_leases = pool
                    .max_leases_if_open(&mut Held::<C>::of_mut(&mut peer.connection).connection);
                self.change(|state, section| state.heard(&peer, max_leases, section));
            }
            let _ = panics::catch("the drop of a connection", || drop(peer));
        }
        is_news
    }

    #[cold]
    fn close_unlent(self: &Arc<Self>, loan: Loan<C>) {
        let lent = loan.erased();
        self.change(|state, section| {
            state.unlend();
            state.returned(lent, Use::Over(CloseReason::NotOpen), section);
        });
    }

    /// Takes back a connection that was used and is open.
    #[inline]
    pub(crate) fn give_back(self: Arc<Self>, loan: Loan<C>, max_leases: usize, now: Time) {
        let mut state = self.base.state.lock();
        let ended = Ended { ticket: loan.ticket, connection: loan as Value, max_leases };
        match state.give_back(ended, now, &self.pool.common) {
            Returned::Idle => {}
            Returned::Left(share) => {
                drop(state);
                let _ = panics::catch("the drop of a connection", || drop(share));
            }
            Returned::HandedOver(waker) => {
                self.note_crowded(state.waiting() > 0);
                drop(state);
                // The reference count is next to the lock, which other threads take now.
                drop(self);
                if let Some(waker) = waker {
                    let _ = panics::catch("a waker", || waker.waker.wake());
                }
            }
            Returned::Unsettled(loan) => {
                drop(state);
                self.end_use(Held::own(loan), Use::Ended { max_leases });
            }
        }
    }

    /// Ends the use of a connection, on the slow path.
    #[cold]
    pub(crate) fn end_use(self: &Arc<Self>, loan: Loan<C>, how: Use) {
        self.any().return_slowly(loan.erased(), how);
    }
}

/// Carries out the actions of a host and their consequences for other hosts. No lock is held here.
pub(super) fn carry_out(cell: &Cell, actions: Actions) {
    let mut news = News::new();
    carry_out_but_tell(cell, actions, &mut news);
    drop(news);
}

/// The same. The caller reports the events.
pub(super) fn carry_out_but_tell(cell: &Cell, actions: Actions, news: &mut News) {
    if actions.is_empty() {
        return;
    }
    let mut follows = Follows::new(news);
    follows.take(cell, actions);
    loop {
        if let Some(mut dialing) = follows.lost.pop() {
            let (cell, actions) = dialing.lose();
            follows.take(&cell, actions);
            follows.news.note(Item::LostDial(dialing));
            panics::let_go(cell);
            continue;
        }
        let Some((cell, follow)) = follows.next(cell.pool()) else { return };
        let ((), actions) = cell.decide(|state, section| match follow {
            Follow::Granted => state.granted(section),
            Follow::StopDraining => state.stop_draining(section),
            Follow::Scan => state.visit(section),
        });
        follows.take(&cell, actions);
        panics::let_go(cell);
    }
}

/// The consequences of one host's section for other hosts. They are kept in a list, because they
/// may form a long chain.
struct Follows<'a> {
    news: &'a mut News,
    /// Dials that no runtime runs.
    lost: Vec<dial::Dialing>,
    granted: Vec<Cell>,
    stop_draining: Option<Cell>,
    make_room: bool,
}

enum Follow {
    Granted,
    StopDraining,
    Scan,
}

impl<'a> Follows<'a> {
    fn new(news: &'a mut News) -> Self {
        let (lost, granted) = (Vec::new(), Vec::new());
        Follows { news, lost, granted, stop_draining: None, make_room: false }
    }

    /// Carries out the actions of the host itself, and keeps the others.
    fn take(&mut self, cell: &Cell, mut actions: Actions) {
        self.granted.append(&mut actions.granted);
        self.stop_draining = actions.stop_draining.take().or(self.stop_draining.take());
        self.make_room |= actions.make_room;
        carry_out_own(cell, actions, self);
    }

    fn next(&mut self, pool: &PoolBase) -> Option<(Cell, Follow)> {
        if let Some(cell) = self.granted.pop() {
            return Some((cell, Follow::Granted));
        }
        if let Some(cell) = self.stop_draining.take() {
            return Some((cell, Follow::StopDraining));
        }
        if self.make_room {
            let next = pool.next_scan(pool.clock.precise());
            self.make_room = next.is_some();
            return next.map(|cell| (cell, Follow::Scan));
        }
        None
    }
}

/// Slots come first and wakers last: a task that is woken finds everything as it was decided.
fn carry_out_own(cell: &Cell, mut actions: Actions, follows: &mut Follows<'_>) {
    let pool = cell.pool();
    // A lease's share is dropped before the connection is closed.
    if !actions.unused.shares.is_empty() {
        let shares = mem::take(&mut actions.unused.shares);
        let _ = panics::catch("the drop of a connection", || drop(shares));
    }
    for order in mem::take(&mut actions.close) {
        close::begin(cell, order);
    }
    for order in mem::take(&mut actions.ping) {
        ping::begin(cell, order);
    }
    let dials = actions.dial.drain(..);
    follows.lost.extend(dials.filter_map(|order| dial::begin(cell, order)));
    if actions.recheck {
        pool.recheck.notify_waiters();
    }
    if actions.ask_peers {
        cell.clone().ask_full_peers();
    }
    let room_at = actions.room_at.is_some_and(|at| pool.schedule.lock().look_for_room(at));
    if actions.maintain || room_at {
        cell.pool_ref().wake_maintenance();
    }
    for waker in mem::take(&mut actions.wake) {
        let _ = panics::catch("a waker", || waker.waker.wake());
    }
    for leak in mem::take(&mut actions.leaks) {
        follows.news.note(Item::Leak(cell.clone(), leak));
    }
    if let Some(self_wait) = actions.self_wait.take() {
        follows.news.note(Item::SelfWait(cell.clone(), self_wait));
    }
    if actions.forget {
        cell.clone().leave_directory(follows.news);
    }
    // The error of a dial is the user's: a panic in its drop is contained here.
    let _ = panics::catch("a destructor", || drop(actions));
}
