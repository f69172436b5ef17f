//! Programs for an engine, read from bytes: random ones, and what a fuzzer makes of them.
//!
//! Any bytes are a program, and a change of few bytes is a change of few operations. The first
//! [`HEADER`] set the pool up, and each [`WORD`] after them is an operation.

mod audit;
pub(super) mod world;

use std::time::Duration;

use super::time::Span;
use super::{Backoff, Beats, Limits};
use crate::reuse::Reuse;
use crate::spread::Spread;
use world::World;

pub(in crate::engine) const HEADER: usize = 16;
pub(in crate::engine) const WORD: usize = 3;

/// One of what there is, whatever its number is then.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Pick(u8);

impl Pick {
    #[cfg(test)]
    pub(in crate::engine) const FIRST: Pick = Pick(0);

    pub(in crate::engine) fn index(self, len: usize) -> usize {
        usize::from(self.0) % len
    }
}

#[derive(Clone, Debug)]
pub(in crate::engine) enum Op {
    /// With true, what is lent first turns out to be dead.
    Acquire(u32, bool),
    Try(u32),
    Poll(Pick),
    Cancel(Pick),
    HandBack(Pick, bool),
    Expire(Pick),
    Return(Pick),
    Discard(Pick),
    Detach(Pick),
    DialDone(Pick),
    DialFailed(Pick),
    DialLost(Pick),
    CloseEnded(Pick),
    Add(u32),
    Warm(u32, usize),
    LookWarm(Pick),
    LeaveWarm(Pick),
    SetMax(u32, usize),
    Retire(u32),
    CloseIdle,
    Look(u32),
    EndLook(Pick, bool),
    Hold(u32),
    LetGo(Pick),
    Asked(Pick, bool),
    Checked(Pick, bool),
    BeatMissed(Pick),
    BeatFailed(Pick, bool),
    CutOff(Pick, bool),
    Carry(usize),
    Pass(u64),
    /// Time passes, and upkeep is late.
    Late(u64),
    UpkeepLost,
    Orphan,
    Close,
}

/// How often an operation comes, and what two more bytes make of it.
type Kind = (usize, fn(u8, u8) -> Op);

const OPS: &[Kind] = &[
    (30, |a, b| Op::Acquire(host(a), b % 8 == 7)),
    (2, |a, _| Op::Try(host(a))),
    (20, |a, _| Op::Poll(Pick(a))),
    (8, |a, _| Op::Cancel(Pick(a))),
    (8, |a, b| Op::HandBack(Pick(a), is(b))),
    (3, |a, _| Op::Expire(Pick(a))),
    (24, |a, _| Op::Return(Pick(a))),
    (4, |a, _| Op::Discard(Pick(a))),
    (3, |a, _| Op::Detach(Pick(a))),
    (18, |a, _| Op::DialDone(Pick(a))),
    (5, |a, _| Op::DialFailed(Pick(a))),
    (3, |a, _| Op::DialLost(Pick(a))),
    (12, |a, _| Op::CloseEnded(Pick(a))),
    (2, |a, _| Op::Add(host(a))),
    (2, |a, b| Op::Warm(host(a), count(b, 0, 4))),
    (1, |a, _| Op::LookWarm(Pick(a))),
    (1, |a, _| Op::LeaveWarm(Pick(a))),
    (2, |a, b| Op::SetMax(host(a), count(b, 1, 5))),
    (2, |a, _| Op::Retire(host(a))),
    (2, |_, _| Op::CloseIdle),
    (3, |a, _| Op::Look(host(a))),
    (3, |a, b| Op::EndLook(Pick(a), is(b))),
    (2, |a, _| Op::Hold(host(a))),
    (2, |a, _| Op::LetGo(Pick(a))),
    (8, |a, b| Op::Asked(Pick(a), is(b))),
    (8, |a, b| Op::Checked(Pick(a), is(b))),
    (5, |a, _| Op::BeatMissed(Pick(a))),
    (3, |a, b| Op::BeatFailed(Pick(a), is(b))),
    (3, |a, b| Op::CutOff(Pick(a), is(b))),
    (3, |a, _| Op::Carry(count(a, 1, 5))),
    (8, |a, b| Op::Pass(time(a, b))),
    (2, |a, b| Op::Late(time(a, b))),
    (1, |_, _| Op::UpkeepLost),
    (1, |a, _| end(a)),
];

fn host(byte: u8) -> u32 {
    u32::from(byte) % 4
}

fn is(byte: u8) -> bool {
    byte % 2 == 1
}

/// In milliseconds.
fn time(a: u8, b: u8) -> u64 {
    1 + u64::from(u16::from_le_bytes([b, a])) % 40_000
}

/// From `from` up to and without `to`.
fn count(byte: u8, from: usize, to: usize) -> usize {
    from + usize::from(byte) % (to - from)
}

/// The end comes to one program in some hundred operations, so that most others last.
fn end(byte: u8) -> Op {
    match byte {
        0..20 => Op::Close,
        20..40 => Op::Orphan,
        _ => Op::CloseIdle,
    }
}

impl Op {
    fn read([kind, a, b]: [u8; WORD]) -> Op {
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

/// A pool of its kind, and what is done to it.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(in crate::engine) limits: Limits,
    /// How leases are spread, and how many a connection takes at first.
    pub(in crate::engine) sharing: Option<(Spread, usize)>,
    pub(in crate::engine) ops: Vec<Op>,
}

impl Program {
    /// Any bytes are a program: what is missing of the header is zero.
    pub(crate) fn read(bytes: &[u8]) -> Program {
        let mut header = [0; HEADER];
        let (given, words) = bytes.split_at(bytes.len().min(HEADER));
        header[..given.len()].copy_from_slice(given);
        let (words, _) = words.as_chunks();
        Program {
            sharing: sharing(&header),
            limits: limits(&header),
            ops: words.iter().copied().map(Op::read).collect(),
        }
    }

    /// Runs it, looks at every step that the invariants hold and that the engine agrees with what can
    /// be counted outside, and lets all go well from there on: then everybody is served.
    pub(crate) fn run(&self) {
        let mut world = World::new(self.limits.clone(), self.sharing);
        self.ops.iter().for_each(|op| world.run(op));
        world.finish();
    }
}

fn sharing(header: &[u8; HEADER]) -> Option<(Spread, usize)> {
    let spread = if is(header[1]) { Spread::LeastLoaded } else { Spread::OldestFirst };
    is(header[0]).then_some((spread, count(header[2], 1, 5)))
}

fn limits(header: &[u8; HEADER]) -> Limits {
    let [
        ..,
        max,
        initial,
        min_idle,
        idle_per_host,
        idle,
        total,
        waiters,
        dialing_per_host,
        dialing,
        flags,
        uses,
        health,
    ] = *header;
    let cap = |byte: u8, from, to| if is(byte) { count(byte / 2, from, to) } else { usize::MAX };
    let max = count(max, 1, 5);
    let most_recent = flags & 1 == 0;
    let beats = Beats { every: Span::from(Duration::from_secs(4)), max_missed: 2 };
    let seconds = |seconds| Span::from(Duration::from_secs(seconds));
    Limits {
        max_per_host: max,
        initial_per_host: count(initial, 0, 2).min(max),
        min_idle_per_host: count(min_idle, 0, 3).min(max),
        max_idle_per_host: cap(idle_per_host, 2, 4),
        max_idle: cap(idle, 2, 5),
        max_total: cap(total, 2, 6),
        max_waiters_per_host: cap(waiters, 1, 6),
        max_dialing_per_host: cap(dialing_per_host, 1, 3),
        max_dialing: cap(dialing, 1, 3),
        reuse: if most_recent { Reuse::MostRecent } else { Reuse::LeastRecent },
        idle_timeout: seconds(15),
        max_lifetime: seconds(60),
        lifetime_jitter: 0.1,
        max_uses: if is(uses) { 1 + u64::from(uses / 2) % 3 } else { u64::MAX },
        ping_after: if health & 1 == 0 { Span::FOREVER } else { seconds(5) },
        heartbeat: (health & 2 != 0).then_some(beats),
        leak_after: if flags & 2 == 0 { Span::FOREVER } else { seconds(7) },
        backoff: Backoff::default(),
        retry: flags & 4 != 0,
    }
}
