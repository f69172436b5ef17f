//! Random programs for hosts with hundreds of connections, with every setting.
//!
//! Bounds that keep a list of what comes first do so only for many connections: see
//! `src/engine/soonest.rs`.

use std::time::Duration;

use proptest::prelude::*;

use super::support::{secs, unlimited};
use crate::engine::Proof;
use crate::engine::programs::{Crowd, Op, Program, Setup, WORD};
use crate::policy::heartbeat::Heartbeat;
use crate::policy::limits::Limits;
use crate::policy::order::Order;
use crate::policy::reuse::Reuse;
use crate::policy::spread::Spread;
use crate::policy::time::Span;

/// How many programs of each kind are run, unless `PROPTEST_CASES` says otherwise: each takes as long
/// as dozens of those with few connections.
const CASES: u32 = 8;

/// How the connections are lent.
#[derive(Clone, Copy, Debug)]
enum Lending {
    Exclusive,
    /// Shared, for one lease each.
    One,
    /// Shared, for several leases each.
    Many,
}

/// Decides on settings.
struct Dice(u64);

impl Dice {
    /// Returns a number from `from` up to, but not including, `to`.
    fn roll(&mut self, from: usize, to: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        from + usize::try_from(self.0 >> 40).unwrap_or(0) % (to - from)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.roll(0, n) == 0
    }

    /// The same, or in one of eight cases no limit.
    fn cap(&mut self, from: usize, to: usize) -> usize {
        let n = self.roll(from, to);
        if self.one_in(8) { usize::MAX } else { n }
    }

    /// Returns a time in seconds, or in one of eight cases no end.
    fn time(&mut self, from: usize, to: usize) -> Span {
        let seconds = self.roll(from, to) as u64;
        if self.one_in(8) { Span::FOREVER } else { secs(seconds) }
    }
}

fn limits(dice: &mut Dice, connections: usize, hosts: usize) -> Limits {
    let all = connections * hosts;
    let limits = Limits {
        max_per_host: connections,
        max_idle_per_host: dice.cap(connections * 3 / 4, connections + 1),
        max_total: dice.cap(all * 3 / 4, all + 1),
        max_waiters_per_host: dice.cap(0, 40),
        max_dialing_per_host: dice.cap(1, 10),
        max_dialing: dice.cap(1, 12),
        order: if dice.one_in(2) { Order::Adaptive } else { Order::Fifo },
        reuse: if dice.one_in(2) { Reuse::MostRecent } else { Reuse::LeastRecent },
        spread: if dice.one_in(2) { Spread::OldestFirst } else { Spread::LeastLoaded },
        max_uses: if dice.one_in(4) { dice.roll(2, 5) as u64 } else { u64::MAX },
        pings_at_once: dice.roll(1, 10),
        retry: dice.one_in(2),
        ..unlimited()
    };
    let limits = with_times(dice, &limits);
    with_filled(dice, limits)
}

fn with_times(dice: &mut Dice, limits: &Limits) -> Limits {
    let every = Duration::from_secs(dice.roll(4, 20) as u64);
    let missed = u32::try_from(dice.roll(1, 4)).expect("it is small");
    Limits {
        idle_timeout: dice.time(10, 30),
        max_lifetime: dice.time(10, 60),
        lifetime_jitter: 0.5,
        ping_after: if dice.one_in(6) { Span::ZERO } else { dice.time(3, 15) },
        heartbeat: (!dice.one_in(8)).then(|| Heartbeat::every(every).max_missed(missed).beats()),
        leak_after: dice.time(2, 12),
        deadlock_after: if dice.one_in(2) { secs(1) } else { Span::FOREVER },
        close_timeout: secs(5),
        ..limits.clone()
    }
}

/// Sets what is made in advance. Programs that do so under `max_idle` run in one order only, so
/// only some of them have it.
fn with_filled(dice: &mut Dice, mut limits: Limits) -> Limits {
    let is_compared = dice.one_in(2);
    if dice.one_in(3) {
        limits.max_idle = dice.roll(limits.max_per_host / 2, limits.max_per_host * 2);
    }
    let caps = [limits.max_per_host, limits.max_idle_per_host, limits.max_idle, limits.max_total];
    let most = caps.into_iter().min().unwrap_or(0);
    if limits.max_idle == usize::MAX || !is_compared {
        limits.min_idle_per_host = dice.roll(0, most);
        limits.initial_per_host = dice.roll(0, 20).min(most);
    }
    limits
}

fn setup(seed: u64, lending: Lending) -> Setup {
    let dice = &mut Dice(seed);
    let (most, leases) = match lending {
        Lending::Exclusive => (300, None),
        Lending::One => (300, Some(1)),
        Lending::Many => (110, Some(dice.roll(2, 4))),
    };
    // Often little more than the number from which on lists are kept.
    let most = if dice.one_in(2) { 85 } else { most };
    let (connections, hosts) = (dice.roll(66, most), dice.roll(1, 3));
    let begun = connections * leases.unwrap_or(1);
    let crowd = Crowd {
        leases: begun - dice.roll(0, 3),
        ended: dice.roll(begun / 4, begun),
        pause: dice.roll(1, 40) as u64,
    };
    Setup {
        limits: limits(dice, connections, hosts),
        leases,
        carries: leases.unwrap_or(1),
        hosts: u8::try_from(hosts).expect("they are few"),
        proof: Proof::Ping,
        lag: if dice.one_in(2) { 0 } else { dice.roll(1, 16) as u64 },
        crowd: Some(crowd),
    }
}

/// The operation, as often as it suits many connections.
fn repeated(word: [u8; WORD], times: u8, lending: Lending) -> Vec<Op> {
    let op = match (Op::read(word), lending) {
        (Op::SetMax(key, n), _) => Op::SetMax(key, 70 * n),
        (Op::Warm(key, n), _) => Op::Warm(key, 60 * n),
        (Op::Carry(_), Lending::One) => Op::Carry(1),
        (op, _) => op,
    };
    let is_usual = matches!(
        op,
        Op::Acquire(..) | Op::Return(..) | Op::PingEnded(..) | Op::DialDone(_) | Op::CloseEnded(_)
    );
    vec![op; if is_usual { 1 + usize::from(times % 8) } else { 1 }]
}

fn program(lending: Lending) -> impl Strategy<Value = Program> {
    let words = prop::collection::vec(any::<([u8; WORD], u8)>(), 1..100);
    (any::<u64>(), words).prop_map(move |(seed, words)| {
        let ops = words.into_iter().flat_map(|(word, times)| repeated(word, times, lending));
        Program { setup: setup(seed, lending), ops: ops.collect() }
    })
}

fn fewer() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, cases: CASES, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(fewer())]

    #[test]
    fn any_program_with_hundreds_of_connections_keeps_the_invariants(
        program in program(Lending::Exclusive)
    ) {
        program.run();
    }

    #[test]
    fn any_program_with_hundreds_of_shared_connections_for_one_lease_keeps_the_invariants(
        program in program(Lending::One)
    ) {
        program.run();
    }

    #[test]
    fn any_program_with_a_hundred_shared_connections_for_many_leases_keeps_the_invariants(
        program in program(Lending::Many)
    ) {
        program.run();
    }
}
