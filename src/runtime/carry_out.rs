//! Carries out the actions of a section and their consequences for other hosts. No lock is held here.

use std::mem;
use std::sync::Arc;

use super::any_host::AnyHost;
use super::events::{Events, Item};
use super::parts::{Actions, Cell};
use super::pool_base::PoolBase;
use super::{close, dial, panics, ping};
use crate::engine::Asking;

impl dyn AnyHost {
    /// Carries out the actions of this host.
    pub(super) fn carry_out(self: &Arc<Self>, actions: &mut Actions) {
        let mut events = Events::new();
        self.carry_out_but_tell(actions, &mut events);
        drop(events);
    }

    /// The same. The caller reports the events.
    pub(super) fn carry_out_but_tell(self: &Arc<Self>, actions: &mut Actions, events: &mut Events) {
        if actions.is_empty() {
            return;
        }
        let mut follows = Follows::new(events);
        follows.take(self, actions);
        follows.carry_out_others(self.pool());
    }

    /// The pool has ended: the host leaves the directory, if it has not yet.
    pub(super) fn forget_at_end(self: &Arc<Self>) {
        let mut events = Events::new();
        let mut follows = Follows::new(&mut events);
        follows.forget(self);
        follows.carry_out_others(self.pool());
    }
}

/// The consequences of one host's section for other hosts. They are kept in a list, because they
/// may form a long chain.
struct Follows<'a> {
    events: &'a mut Events,
    /// Dials that no runtime runs.
    lost: Vec<dial::Dialing>,
    granted: Vec<Cell>,
    stop_draining: Option<Cell>,
    give_way: Option<Cell>,
    make_room: bool,
}

enum Follow {
    Granted,
    StopDraining,
    GiveWay,
    Scan,
}

impl<'a> Follows<'a> {
    fn new(events: &'a mut Events) -> Self {
        let (lost, granted) = (Vec::new(), Vec::new());
        Follows { events, lost, granted, stop_draining: None, give_way: None, make_room: false }
    }

    /// Carries out the actions of the host itself, and keeps the others.
    fn take(&mut self, cell: &Cell, actions: &mut Actions) {
        self.granted.append(&mut actions.granted);
        self.stop_draining = actions.stop_draining.take().or(self.stop_draining.take());
        self.give_way = actions.give_way.take().or(self.give_way.take());
        self.make_room |= actions.make_room;
        self.carry_out_own(cell, actions);
    }

    fn carry_out_others(&mut self, pool: &PoolBase) {
        loop {
            if let Some(dialing) = self.lost.pop() {
                self.lose(dialing);
            } else if let Some((cell, follow)) = self.next(pool) {
                self.follow(cell, &follow);
            } else {
                return;
            }
        }
    }

    fn lose(&mut self, mut dialing: dial::Dialing) {
        let (cell, mut actions) = dialing.lose();
        self.take(&cell, &mut actions);
        self.events.note(Item::LostDial(dialing));
        panics::let_go(cell);
    }

    fn next(&mut self, pool: &PoolBase) -> Option<(Cell, Follow)> {
        if let Some(cell) = self.granted.pop() {
            return Some((cell, Follow::Granted));
        }
        if let Some(cell) = self.stop_draining.take() {
            return Some((cell, Follow::StopDraining));
        }
        if let Some(cell) = self.give_way.take() {
            return Some((cell, Follow::GiveWay));
        }
        if self.make_room {
            let next = pool.next_scan(pool.clock.precise());
            self.make_room = next.is_some();
            return next.map(|cell| (cell, Follow::Scan));
        }
        None
    }

    fn follow(&mut self, cell: Cell, follow: &Follow) {
        let mut actions = cell.decide(&mut |state, section| match follow {
            Follow::Granted => state.granted(section),
            Follow::StopDraining => state.stop_draining(section),
            // The end of the section does it, if the place is still wanted.
            Follow::GiveWay => {}
            Follow::Scan => state.visit(section),
        });
        self.take(&cell, &mut actions);
        panics::let_go(cell);
    }

    /// Slots come first and wakers last: a task that is woken finds everything as it was decided.
    fn carry_out_own(&mut self, cell: &Cell, actions: &mut Actions) {
        let has_news = !actions.leaks.is_empty()
            || actions.self_wait.is_some()
            || actions.overload.is_some()
            || actions.advice.is_some();
        if has_news {
            self.events.hold_up_the_end(cell);
        }
        self.begin_tasks(cell, actions);
        notify(cell, actions);
        for waker in mem::take(&mut actions.wake) {
            let _ = panics::catch("a waker", || waker.waker.wake());
        }
        self.note(cell, actions);
        if actions.forget {
            self.forget(cell);
        }
        // The error of a dial is the user's: a panic in its drop is contained here.
        let unused = mem::take(&mut actions.unused);
        let _ = panics::catch("a destructor", || drop(unused));
    }

    fn begin_tasks(&mut self, cell: &Cell, actions: &mut Actions) {
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
        self.lost.extend(dials.filter_map(|order| dial::begin(cell, order)));
    }

    fn note(&mut self, cell: &Cell, actions: &mut Actions) {
        for leak in mem::take(&mut actions.leaks) {
            self.events.note(Item::Leak(cell.clone(), leak));
        }
        if let Some(self_wait) = actions.self_wait.take() {
            self.events.note(Item::SelfWait(cell.clone(), self_wait));
        }
        if let Some(overload) = actions.overload.take() {
            self.events.note(Item::Overload(cell.clone(), overload));
        }
        if let Some(advice) = actions.advice.take() {
            self.events.note(Item::Advice(cell.clone(), advice));
        }
    }

    /// Nobody needs the host any more.
    fn forget(&mut self, cell: &Cell) {
        self.events.hold_up_the_end(cell);
        let Some(mut actions) = cell.forget() else { return };
        self.take(cell, &mut actions);
        self.events.note(Item::Forgotten(cell.clone()));
    }
}

/// Tells the tasks that run already.
fn notify(cell: &Cell, actions: &Actions) {
    let pool = cell.pool();
    actions.stop.iter().for_each(|dial| dial.notify_one());
    if actions.recheck {
        pool.recheck.notify_waiters();
    }
    if actions.ask_peers {
        cell.ask_peers(Asking::Each);
    }
    let room_at = actions.room_at.is_some_and(|at| pool.schedule.lock().look_for_room(at));
    if actions.maintain || room_at {
        cell.pool_ref().wake_maintenance();
    }
}
