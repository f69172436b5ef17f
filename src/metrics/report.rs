//! Snapshots of a pool, and the gauges set from them.

use std::collections::HashSet;
use std::mem;

use ::metrics::{Key, with_recorder};

use super::names::METADATA;
use super::{Metrics, host_label, with_host};
use crate::engine::status::Seen;
use crate::engine::sync::Mutex;
use crate::policy::advice::Advice;
use crate::policy::connector::Connector;
use crate::policy::limits::Limits;
use crate::policy::shared_connector::SharedConnector;
use crate::pool::erased::Erase;
use crate::pool::pool::Pool;
use crate::pool::shared::SharedPool;
use crate::runtime::any_pool::AnyPool;

/// A pool that [`Metrics`] can report: a [`Pool`] or a [`SharedPool`].
pub trait Reportable: Erase {}

impl<C: Connector> Reportable for Pool<C> {}
impl<C: SharedConnector> Reportable for SharedPool<C> {}

/// A snapshot of a pool.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// The pool is closed and empty: this is the last snapshot.
    pub(super) is_over: bool,
    known: usize,
    /// How many hosts have advice of each kind; absent where none is made.
    advised: Option<[usize; Advice::KINDS.len()]>,
    whole: View,
    hosts: Vec<(String, View)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct View {
    seen: Seen,
    caps: Caps,
}

/// `usize::MAX`: no limit.
#[derive(Clone, Copy, Debug, Default)]
struct Caps {
    max: usize,
    idle_max: usize,
    idle_min: usize,
}

impl Caps {
    fn of_host(max: usize, limits: &Limits) -> Self {
        let idle_max = limits.max_idle_per_host.min(max);
        Caps { max, idle_max, idle_min: limits.min_idle_per_host.min(idle_max) }
    }

    fn add(&mut self, other: Caps) {
        self.max = self.max.saturating_add(other.max);
        self.idle_max = self.idle_max.saturating_add(other.idle_max);
        self.idle_min = self.idle_min.saturating_add(other.idle_min);
    }

    /// Adds up all hosts, within the caps across hosts.
    fn under(self, limits: &Limits) -> Self {
        let max = self.max.min(limits.max_total);
        let idle_max = self.idle_max.min(limits.max_idle).min(max);
        Caps { max, idle_max, idle_min: self.idle_min.min(idle_max) }
    }
}

impl Picture {
    pub(super) fn of(pool: &dyn AnyPool, per_host: bool) -> Self {
        let rules = pool.base().rules();
        let limits = &rules.common.limits;
        let is_over = pool.base().has_ended();
        let cells = pool.hosts().0;
        let now = pool.base().clock.precise();
        let mut advised = rules.config.advice.map(|_| [0; Advice::KINDS.len()]);
        let (known, mut whole, mut hosts) = (cells.len(), View::default(), Vec::new());
        for cell in cells {
            let view = cell.base().view();
            if let Some(advised) = &mut advised {
                if let Some(advice) = cell.base().advice(now) {
                    advised[advice.gist().0] += 1;
                }
            }
            let view = View {
                seen: view.seen,
                caps: Caps::of_host(view.max, &cell.base().rules().common.limits),
            };
            whole.seen.add(&view.seen);
            whole.caps.add(view.caps);
            if per_host {
                // The key's `Debug` is user code: no lock is held here.
                hosts.push((host_label(&cell), view));
            }
        }
        if known == 0 {
            whole.caps = Caps::of_host(limits.max_per_host, limits);
        }
        whole.caps = whole.caps.under(limits);
        Picture { is_over, known, advised, whole, hosts }
    }
}

/// The hosts of the last report, where each has its own gauges.
#[derive(Debug, Default)]
pub(super) struct Reported(Mutex<HashSet<String>>);

impl Metrics {
    pub(super) fn show(&self, picture: &Picture) {
        self.describe();
        self.hand_over_zeros(usize::MAX);
        set(&self.names.hosts, picture.known);
        for (name, hosts) in self.names.advice.iter().zip(picture.advised.iter().flatten()) {
            set(name, *hosts);
        }
        if !self.per_host {
            return self.show_view(&picture.whole, Key::clone);
        }
        let known: HashSet<_> = picture.hosts.iter().map(|(host, _)| host.clone()).collect();
        let before = mem::replace(&mut *self.reported.0.lock(), known.clone());
        for host in before.difference(&known) {
            self.show_view(&View::default(), |key| with_host(key, host.clone()));
        }
        for (host, view) in &picture.hosts {
            self.show_view(view, |key| with_host(key, host.clone()));
        }
    }

    fn show_view(&self, View { seen, caps }: &View, key: impl Fn(&Key) -> Key) {
        let names = &*self.names;
        let gauges = [
            (&names.idle, seen.idle),
            (&names.used, seen.in_use),
            (&names.pending_requests, seen.waiting),
            (&names.dialing, seen.dialing),
            (&names.pinging, seen.pinging),
            (&names.draining, seen.draining),
            (&names.closing, seen.closing),
            (&names.leases, seen.leases),
            (&names.overloaded, seen.overloaded),
        ];
        let caps = [
            (&names.max, caps.max),
            (&names.idle_max, caps.idle_max),
            (&names.idle_min, caps.idle_min),
        ];
        let limited = caps.into_iter().filter(|&(_, cap)| cap != usize::MAX);
        for (name, value) in gauges.into_iter().chain(limited) {
            set(&key(name), value);
        }
        for name in names.counters() {
            let key = key(name);
            with_recorder(|recorder| recorder.register_counter(&key, &METADATA).increment(0));
        }
    }
}

fn set(key: &Key, value: usize) {
    with_recorder(|recorder| recorder.register_gauge(key, &METADATA).set(value as f64));
}
