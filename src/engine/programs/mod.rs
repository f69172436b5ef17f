//! Programs for the engine, read from bytes: from a random generator or a fuzzer.
//!
//! Any bytes are a program, and a change of few bytes changes few operations. The first [`HEADER`]
//! bytes configure the pool, and each [`WORD`] after them is an operation.
//!
//! A program runs three times. First *shuffled*: the engine's actions are put into a bag and
//! carried out in any order between other operations, as tasks and threads would. Then twice in
//! *order*, once with the fast paths and once without: what can be observed from outside must be
//! the same.

mod audit;
mod crowd;
mod ending;
mod known;
mod lent;
mod owner;
mod reconfigure;
mod steps;
mod tasks;
pub(super) mod world;

use std::time::Duration;

use super::Proof;
use crate::policy::backoff::Backoff;
use crate::policy::heartbeat::Heartbeat;
use crate::policy::limits::{Beats, Limits};
use crate::policy::order::Order;
use crate::policy::reuse::Reuse;
use crate::policy::spread::Spread;
use crate::policy::time::Span;
use world::{Mode, World};

pub(in crate::engine) const HEADER: usize = 20;
pub(in crate::engine) const WORD: usize = 3;

/// Selects one of the existing items, by its position at that time.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Pick(pub(in crate::engine) u8);

impl Pick {
    #[cfg(test)]
    pub(in crate::engine) const FIRST: Pick = Pick(0);

    pub(in crate::engine) fn index(self, len: usize) -> usize {
        usize::from(self.0) % len
    }
}

/// How a ping ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Answer {
    Yes,
    /// Not sent, if the peer was heard lately.
    Heard,
    YesAndClosed,
    Error {
        is_open: bool,
    },
}

#[derive(Clone, Debug)]
pub(in crate::engine) enum Op {
    /// If true, the first connection that is lent turns out to be not open.
    Acquire(u8, bool),
    Try(u8, bool),
    Poll(Pick),
    Cancel(Pick),
    HandBack(Pick, bool),
    Expire(Pick),
    /// If false, it is not open any more.
    Return(Pick, bool),
    Discard(Pick),
    Detach(Pick),
    DialDone(Pick),
    DialFailed(Pick, bool),
    DialLost(Pick),
    PingEnded(Pick, Answer),
    BeatMissed(Pick),
    CutOff(Pick),
    /// A task that was told to checks whether it has to stop.
    LookTold(Pick),
    CloseEnded(Pick),
    Add(u8),
    Warm(u8, usize),
    LookWarm(Pick),
    LeaveWarm(Pick),
    SetMax(u8, usize),
    Retire(u8),
    CloseIdle,
    Inspect(u8),
    EndInspect(Pick, bool),
    Hold(u8),
    LetGo(Pick),
    /// Sets how many leases shared connections take from now on.
    Carry(usize),
    /// Carries out one action.
    CarryOut(Pick),
    /// Time passes, and maintenance runs whenever it is due.
    Pass(u64),
    /// Time passes, and maintenance is late.
    Late(u64),
    Maintain,
    MaintenanceLost,
    Orphan,
    Close,
    /// Returns a connection whose borrower has left state to undo.
    ReturnToReset(Pick),
    /// The borrower suspects the connection, and keeps it.
    Doubt(Pick),
    /// One of the pool's limits changes.
    Reconfigure(u8, u8),
}

/// The frequency of an operation, and its conversion from two more bytes.
type Kind = (usize, fn(u8, u8) -> Op);

const OPS: &[Kind] = &[
    (44, |a, b| Op::Acquire(a, b % 8 == 7)),
    (3, |a, b| Op::Try(a, b % 8 == 7)),
    (24, |a, _| Op::Poll(Pick(a))),
    (7, |a, _| Op::Cancel(Pick(a))),
    (6, |a, b| Op::HandBack(Pick(a), b % 4 != 0)),
    (3, |a, _| Op::Expire(Pick(a))),
    (36, |a, b| Op::Return(Pick(a), b % 16 != 0)),
    (3, |a, _| Op::Discard(Pick(a))),
    (2, |a, _| Op::Detach(Pick(a))),
    (26, |a, _| Op::DialDone(Pick(a))),
    (5, |a, b| Op::DialFailed(Pick(a), is(b))),
    (3, |a, _| Op::DialLost(Pick(a))),
    (12, |a, b| Op::PingEnded(Pick(a), answer(b))),
    (4, |a, _| Op::BeatMissed(Pick(a))),
    (3, |a, _| Op::CutOff(Pick(a))),
    (3, |a, _| Op::LookTold(Pick(a))),
    (14, |a, _| Op::CloseEnded(Pick(a))),
    (2, |a, _| Op::Add(a)),
    (2, |a, b| Op::Warm(a, count(b, 0, 4))),
    (1, |a, _| Op::LookWarm(Pick(a))),
    (1, |a, _| Op::LeaveWarm(Pick(a))),
    (2, |a, b| Op::SetMax(a, count(b, 1, 5))),
    (2, |a, _| Op::Retire(a)),
    (1, |_, _| Op::CloseIdle),
    (2, |a, _| Op::Inspect(a)),
    (2, |a, b| Op::EndInspect(Pick(a), is(b))),
    (2, |a, _| Op::Hold(a)),
    (2, |a, _| Op::LetGo(Pick(a))),
    (3, |a, _| Op::Carry(count(a, 1, 5))),
    (20, |a, _| Op::CarryOut(Pick(a))),
    (7, |a, b| Op::Pass(time(a, b))),
    (3, |a, b| Op::Late(time(a, b))),
    (4, |_, _| Op::Maintain),
    (1, |_, _| Op::MaintenanceLost),
    (1, |a, _| end(a)),
    // Together as frequent as one of them used to be, so that the fuzzer's corpus keeps its
    // meaning.
    (11, |a, _| Op::ReturnToReset(Pick(a))),
    (3, |a, _| Op::Doubt(Pick(a))),
    (2, Op::Reconfigure),
];

fn is(byte: u8) -> bool {
    byte % 2 == 1
}

fn answer(byte: u8) -> Answer {
    match byte % 8 {
        0..=2 => Answer::Yes,
        3 => Answer::Heard,
        4 => Answer::YesAndClosed,
        5 => Answer::Error { is_open: true },
        _ => Answer::Error { is_open: false },
    }
}

/// In milliseconds: often shorter than a ping counts as on its way, seldom longer than a connection
/// may be idle.
fn time(a: u8, b: u8) -> u64 {
    let b = u64::from(b);
    match a % 4 {
        0 => 1 + b % 20,
        1 => 1 + b * 4,
        2 => 1 + b * 20,
        _ => 1 + b * 160,
    }
}

/// A number from `from` up to, but not including, `to`.
fn count(byte: u8, from: usize, to: usize) -> usize {
    from + usize::from(byte) % (to - from)
}

/// Ends about one program in several hundred operations, so that most others last.
fn end(byte: u8) -> Op {
    match byte {
        0..20 => Op::Close,
        20..40 => Op::Orphan,
        _ => Op::CloseIdle,
    }
}

impl Op {
    pub(in crate::engine) fn read([kind, a, b]: [u8; WORD]) -> Op {
        let total: usize = OPS.iter().map(|(weight, _)| weight).sum();
        let mut at = usize::from(kind) * total / 256;
        for (weight, make) in OPS {
            if at < *weight {
                return make(a, b);
            }
            at -= weight;
        }
        unreachable!("it is less than all of them")
    }
}

/// The configuration of the pool.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Setup {
    pub(in crate::engine) limits: Limits,
    /// Leases that a connection takes at first; `None` for exclusive connections.
    pub(in crate::engine) leases: Option<usize>,
    /// Leases that a connection to a new host is expected to carry.
    pub(in crate::engine) carries: usize,
    pub(in crate::engine) hosts: u8,
    /// What proves that a peer lives.
    pub(in crate::engine) proof: Proof,
    /// How late the coarse clock may be, in milliseconds.
    pub(in crate::engine) lag: u64,
    /// What each host begins with.
    pub(in crate::engine) crowd: Option<Crowd>,
}

/// The uses of each host before the program begins.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Crowd {
    /// How many leases begin.
    pub(in crate::engine) leases: usize,
    /// How many of them end.
    pub(in crate::engine) ended: usize,
    /// The longest time between two of them, in milliseconds.
    pub(in crate::engine) pause: u64,
}

/// A pool's configuration and the operations on it.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(in crate::engine) setup: Setup,
    pub(in crate::engine) ops: Vec<Op>,
}

impl Program {
    /// Any bytes are a program: missing bytes of the header are zero.
    pub(crate) fn read(bytes: &[u8]) -> Program {
        let mut header = [0; HEADER];
        let (given, words) = bytes.split_at(bytes.len().min(HEADER));
        header[..given.len()].copy_from_slice(given);
        let words =
            words.chunks_exact(WORD).map(|word| word.try_into().expect("a word has its length"));
        Program { setup: setup(&header), ops: words.map(Op::read).collect() }
    }

    /// Runs the program, and panics if the engine breaks a guarantee.
    pub(crate) fn run(&self) {
        self.run_in(Mode::Shuffled);
        self.compare();
    }

    /// Checks at every step that the invariants hold and that the engine agrees with the counts
    /// from outside. Then lets everything succeed: every caller is served, and nothing is left in
    /// the end.
    fn run_in(&self, mode: Mode) -> World {
        let mut world = World::new(&self.setup, mode);
        world.begin();
        self.ops.iter().for_each(|op| world.run(op));
        world.finish();
        world
    }

    /// Runs the program with and without the fast paths: the same connections go to the same
    /// callers, and the same number of connections is in each state after each step.
    ///
    /// This is skipped if connections are made in advance under `max_idle`: a host learns that
    /// fewer connections are idle elsewhere at its next section on the slow path, which comes later
    /// with the fast paths.
    fn compare(&self) {
        let limits = &self.setup.limits;
        let warms = self.ops.iter().any(|op| matches!(op, Op::Warm(..)));
        if limits.max_idle != usize::MAX
            && (warms || limits.min_idle_per_host + limits.initial_per_host > 0)
        {
            return;
        }
        let with = self.run_in(Mode::Ordered { short: true }).trace;
        let without = self.run_in(Mode::Ordered { short: false }).trace;
        let step = with.iter().zip(&without).position(|(one, other)| one != other);
        if let Some(step) = step {
            panic!(
                "the fast paths differ at {step}: {:?}, and without {:?}",
                with[step], without[step]
            );
        }
        assert_eq!(with.len(), without.len(), "the fast paths differ in the end");
    }
}

fn setup(header: &[u8; HEADER]) -> Setup {
    let [shared, hosts, leases, carries, lag, ..] = *header;
    let leases = is(shared).then_some(count(leases, 1, 5));
    let carries = if carries % 8 == 0 { usize::MAX } else { count(carries, 1, 5) };
    Setup {
        limits: limits(header),
        carries: leases.map_or(1, |_| carries),
        leases,
        hosts: 1 + hosts % 6,
        proof: [Proof::Ping, Proof::Ping, Proof::Heard, Proof::Nothing][usize::from(hosts / 64)],
        lag: if is(lag) { u64::from(lag / 16) } else { 0 },
        crowd: None,
    }
}

fn limits(header: &[u8; HEADER]) -> Limits {
    let [
        ..,
        max,
        filled,
        idle_per_host,
        idle,
        total,
        waiters,
        dialing,
        dialing_in_all,
        uses,
        flags,
        times,
    ] = *header;
    let cap = |byte: u8, from, to| if is(byte) { count(byte / 2, from, to) } else { usize::MAX };
    let seconds = |seconds| Span::from(Duration::from_secs(seconds));
    let when = |flag: u8, span: Span| if flags & flag == 0 { Span::FOREVER } else { span };
    let limits = Limits {
        max_per_host: count(max, 1, 6),
        initial_per_host: 0,
        min_idle_per_host: 0,
        max_idle_per_host: cap(idle_per_host, 0, 4),
        max_idle: cap(idle, 0, 6),
        max_total: cap(total, 1, 7),
        max_waiters_per_host: cap(waiters, 1, 7),
        max_dialing_per_host: cap(dialing, 1, 3),
        max_dialing: cap(dialing_in_all, 1, 4),
        order: [Order::Adaptive, Order::Fifo, Order::Deadlines, Order::Adaptive]
            [usize::from(times / 32 % 4)],
        reuse: if flags & 1 == 0 { Reuse::MostRecent } else { Reuse::LeastRecent },
        spread: if flags & 2 == 0 { Spread::OldestFirst } else { Spread::LeastLoaded },
        acquire_timeout: if flags & 4 == 0 { seconds(30) } else { Span::FOREVER },
        idle_timeout: if times & 1 == 0 { seconds(15) } else { Span::FOREVER },
        max_lifetime: if times & 2 == 0 { seconds(60) } else { Span::FOREVER },
        lifetime_jitter: 0.1,
        max_uses: if is(uses) { 1 + u64::from(uses / 2) % 3 } else { u64::MAX },
        connect_timeout: seconds(10),
        backoff: Backoff::default(),
        ping_after: ping_after(times),
        ping_counts: Span::from(Duration::from_millis(250)),
        pings_at_once: if flags & 64 == 0 { 8 } else { 1 },
        heartbeat: (flags & 8 != 0).then(beats),
        close_timeout: seconds(5),
        leak_after: when(16, seconds(7)),
        // In one of four: with it, waits take no short path.
        deadlock_after: if flags & 128 != 0 && times & 16 != 0 {
            seconds(1)
        } else {
            Span::FOREVER
        },
        advice: if times & 128 != 0 { seconds(10) } else { Span::FOREVER },
        retry: flags & 32 != 0,
    };
    with_filled(limits, filled)
}

/// Limits the connections made in advance to what every cap allows.
fn with_filled(mut limits: Limits, filled: u8) -> Limits {
    let caps = [limits.max_per_host, limits.max_idle_per_host, limits.max_idle, limits.max_total];
    let most = caps.into_iter().min().unwrap_or(0);
    let min_idle = if filled % 4 == 3 { 2 } else { usize::from(filled % 2) };
    limits.initial_per_host = count(filled / 4, 0, 3).min(most);
    limits.min_idle_per_host = min_idle.min(most);
    limits
}

/// A heartbeat every four seconds; two may be missed.
pub(in crate::engine) fn beats() -> Beats {
    Heartbeat::every(Duration::from_secs(4)).max_missed(2).beats()
}

fn ping_after(times: u8) -> Span {
    match times / 4 % 4 {
        0 => Span::ZERO,
        1 => Span::from(Duration::from_secs(5)),
        _ => Span::FOREVER,
    }
}
