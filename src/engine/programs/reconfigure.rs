//! The pool's limits change while it runs.

use std::sync::Arc;
use std::time::Duration;

use super::world::World;
use super::{beats, count};
use crate::policy::limits::Limits;
use crate::policy::order::Order;
use crate::policy::reuse::Reuse;
use crate::policy::spread::Spread;
use crate::policy::time::Span;

impl World {
    /// One limit changes, and every host follows.
    pub(super) fn reconfigure(&mut self, which: u8, value: u8) {
        let old = self.common.clone();
        let mut limits = old.limits.clone();
        change(&mut limits, (which, value));
        if old.ledger().is_some() {
            change_caps_across_hosts(&mut limits, (which, value));
        }
        if !old.is_shared() {
            limits.spread = Spread::OldestFirst;
        }
        if let Some(ledger) = old.ledger() {
            ledger.budget.lock().adapt(&limits);
        }
        self.common = Arc::new(old.with(within_caps(limits)));
        self.version += 1;
        let mut listed: Vec<_> = self.directory.values().copied().collect();
        listed.sort_unstable();
        for at in listed {
            self.follow(at);
        }
    }

    /// The host takes the limits of now, unless it has them.
    pub(super) fn follow(&mut self, at: usize) {
        if self.cells[at].version == self.version {
            return;
        }
        self.cells[at].version = self.version;
        let new = self.common_of(self.cells[at].key);
        let old = std::mem::replace(&mut self.cells[at].common, new.clone());
        let lifetime = |limits: &Limits| (limits.max_lifetime, limits.lifetime_jitter.to_bits());
        if lifetime(&old.limits) != lifetime(&new.limits) {
            let longest = new.limits.max_lifetime;
            let shortest = longest.shortened(new.limits.lifetime_jitter);
            for known in self.connections.iter_mut().filter(|known| known.at == at) {
                let ends = [shortest, longest].map(|life| known.created.after(life));
                known.expires_in = Some((ends[0], ends[1]));
            }
        }
        self.change(at, |state, section| state.adapt(&old.limits, section));
    }
}

fn cap(value: u8, from: usize, to: usize) -> usize {
    if value < 64 { usize::MAX } else { count(value, from, to) }
}

fn span(value: u8, seconds: [u64; 2]) -> Span {
    let seconds = seconds.get(usize::from(value % 3));
    seconds.map_or(Span::FOREVER, |seconds| Duration::from_secs(*seconds).into())
}

fn change(limits: &mut Limits, (which, value): (u8, u8)) {
    match which % 16 {
        0 | 1 => limits.max_per_host = count(value, 1, 6),
        2 => limits.max_idle_per_host = cap(value, 0, 4),
        3 => limits.min_idle_per_host = usize::from(value % 3),
        4 => limits.idle_timeout = span(value, [15, 5]),
        5 => limits.max_lifetime = span(value, [60, 10]),
        6 => limits.max_uses = if value < 64 { u64::MAX } else { 1 + u64::from(value % 3) },
        7 => {
            let orders = [Order::Adaptive, Order::Fifo, Order::Deadlines];
            limits.order = orders[usize::from(value % 3)];
        }
        8 => {
            limits.reuse = if value % 2 == 0 { Reuse::MostRecent } else { Reuse::LeastRecent };
            limits.spread = if value % 4 < 2 { Spread::OldestFirst } else { Spread::LeastLoaded };
        }
        9 => limits.heartbeat = (value % 2 == 0).then(beats),
        10 => limits.leak_after = span(value, [7, 3]),
        11 => limits.ping_after = span(value, [0, 5]),
        12 => limits.max_waiters_per_host = cap(value, 1, 7),
        13 => limits.max_dialing_per_host = cap(value, 1, 3),
        14 => limits.acquire_timeout = span(value, [30, 10]),
        _ => limits.retry = value % 2 == 0,
    }
}

fn change_caps_across_hosts(limits: &mut Limits, (which, value): (u8, u8)) {
    match which % 48 {
        16 => limits.max_total = cap(value, 1, 7),
        17 => limits.max_dialing = cap(value, 1, 4),
        18 => limits.max_idle = cap(value, 0, 6),
        _ => {}
    }
}

/// As the pool's own check asks.
fn within_caps(mut limits: Limits) -> Limits {
    let caps = [limits.max_per_host, limits.max_idle_per_host, limits.max_idle, limits.max_total];
    let most = caps.into_iter().min().unwrap_or(0);
    limits.min_idle_per_host = limits.min_idle_per_host.min(most);
    limits.initial_per_host = limits.initial_per_host.min(most);
    limits
}
