//! What samples of a host say of its size.
//!
//! Ten times a second, while a host is busy, it is read how many connections are in use and how many
//! callers wait. Acquires and returns do nothing for it: how many there were is counted anyway, and how
//! long a use takes follows from both (Little's law: the mean number in use is the rate of uses times
//! the mean time of one).
//!
//! No size is set by it. Pools that find their own size were simulated: with eight processes on one
//! server they answer half as many as with the best fixed size, because each sees only its own.

mod sizes;

use std::time::Duration;

use self::sizes::Sizes;
use crate::policy::advice::Advice;
use crate::policy::time::{Span, Time};

/// Between two samples of a busy host. While nothing is in use, it doubles up to a part of the window.
const BUSY: Span = Span::from_nanos(100_000_000);
const QUIET: u64 = 64;

/// The window is made of this many parts, the oldest of which goes.
const SLICES: usize = 8;

/// Fewer uses do not tell how long one takes, and fewer acquires nothing.
const ENOUGH: u64 = 30;

/// The cap is too large if this share of it would have been enough, in tenths.
const MUCH_LESS: usize = 7;

/// One host at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) in_use: usize,
    /// Connections that those who wait would use.
    pub(crate) wanted: usize,
    /// `usize::MAX` if there is no cap.
    pub(crate) max: usize,
    /// Since the host was first used: uses that have begun, and acquires that came.
    pub(crate) begun: u64,
    pub(crate) came: u64,
    /// All waits together, and how many there were.
    pub(crate) wait_time: Span,
    pub(crate) waits: u64,
}

/// How callers leave, and when the pool would end their wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    pub(crate) after: Option<Duration>,
    pub(crate) acquire_timeout: Span,
}

/// The time and the number of uses of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Uses {
    /// Connections in use, times nanoseconds.
    held: u128,
    begun: u64,
}

impl Uses {
    fn mean(&self) -> Option<Duration> {
        let nanos = u64::try_from(self.held / u128::from(self.begun.max(1))).unwrap_or(u64::MAX);
        (self.begun >= ENOUGH && nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    fn add(&mut self, other: &Uses) {
        self.held += other.held;
        self.begun += other.begun;
    }
}

/// What was seen in a part of the window.
#[derive(Clone, Debug, Default)]
struct Slice {
    asked_for: Sizes,
    /// Acquires: all, and those after which callers waited while all connections were in use.
    came: u64,
    came_to_a_queue: u64,
    /// In nanoseconds: all, and while all connections were in use and callers waited.
    time: u64,
    time_queued: u64,
    all: Uses,
    when_full: Uses,
    when_few: Uses,
    wait_nanos: u128,
    waits: u64,
}

impl Slice {
    fn add(&mut self, other: &Slice) {
        self.asked_for.add_all(&other.asked_for);
        self.came += other.came;
        self.came_to_a_queue += other.came_to_a_queue;
        self.time += other.time;
        self.time_queued += other.time_queued;
        self.all.add(&other.all);
        self.when_full.add(&other.when_full);
        self.when_few.add(&other.when_few);
        self.wait_nanos += other.wait_nanos;
        self.waits += other.waits;
    }

    /// Records the time between two samples.
    fn note(&mut self, (old, since): (&Sample, Time), new: &Sample, now: Time) {
        let came = new.came.saturating_sub(old.came);
        let time = now.span_since(since).nanos();
        let held = u128::from(time) * (old.in_use + new.in_use) as u128 / 2;
        let uses = Uses { held, begun: new.begun.saturating_sub(old.begun) };
        let is_full = |sample: &Sample| sample.in_use >= sample.max;
        let has_few = |sample: &Sample| sample.in_use <= sample.max / 2;
        let is_queued = |sample: &Sample| is_full(sample) && sample.wanted > 0;
        self.asked_for.add(new.in_use + new.wanted, came);
        self.came += came;
        self.came_to_a_queue += if is_queued(new) { came } else { 0 };
        self.time += time;
        self.time_queued += if is_queued(old) && is_queued(new) { time } else { 0 };
        self.all.add(&uses);
        if is_full(old) && is_full(new) {
            self.when_full.add(&uses);
        } else if has_few(old) && has_few(new) {
            self.when_few.add(&uses);
        }
        self.wait_nanos += u128::from(new.wait_time.nanos().saturating_sub(old.wait_time.nanos()));
        self.waits += new.waits.saturating_sub(old.waits);
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Samples {
    window: Span,
    began: Time,
    /// When the next sample is due; never while the host has no connection.
    next: Time,
    pause: Span,
    last: (Sample, Time),
    slices: [Slice; SLICES],
    current: usize,
    current_until: Time,
    told: Option<Advice>,
}

impl Samples {
    pub(crate) fn new(window: Span, sample: Sample, now: Time) -> Self {
        Samples {
            window,
            began: now,
            next: now.after(BUSY),
            pause: BUSY,
            last: (sample, now),
            slices: Default::default(),
            current: 0,
            current_until: now.after(part_of(window)),
            told: None,
        }
    }

    pub(crate) fn next(&self) -> Time {
        self.next
    }

    /// The window has changed, or not.
    pub(crate) fn set_window(&mut self, window: Span) {
        self.window = window;
    }

    /// The host is busy, perhaps again.
    #[inline]
    pub(crate) fn hurry(&mut self, now: Time) {
        if self.pause != BUSY {
            self.pause = BUSY;
            self.next = self.next.min(now.after(BUSY));
        }
    }

    /// Takes a sample. Returns whether a part of the window has ended. `goes_on` is false where the host has
    /// no connection: no sample follows until it is busy again.
    pub(crate) fn take(
        &mut self,
        sample: Sample,
        goes_on: bool,
        (now, random): (Time, f64),
    ) -> bool {
        let (old, since) = self.last;
        self.slices[self.current].note((&old, since), &sample, now);
        self.last = (sample, now);
        let is_quiet = sample.in_use + sample.wanted == 0;
        let longest = Span::from_nanos(self.window.nanos() / QUIET).max(BUSY);
        let longer = Span::from_nanos(self.pause.nanos() * 2).min(longest);
        self.pause = if is_quiet { longer } else { BUSY };
        if !goes_on {
            self.pause = Span::FOREVER;
        }
        // Not in step with load that comes at intervals.
        self.next = now.after(self.pause.shortened(random / 2.0));
        self.turn(now)
    }

    /// Goes on to the next part of the window, whose old contents are over.
    fn turn(&mut self, now: Time) -> bool {
        let has_turned = self.current_until <= now;
        let mut turns = 0;
        while self.current_until <= now && turns < SLICES {
            self.current = (self.current + 1) % SLICES;
            self.slices[self.current] = Slice::default();
            self.current_until = self.current_until.after(part_of(self.window));
            turns += 1;
        }
        if self.current_until <= now {
            self.current_until = now.after(part_of(self.window));
        }
        has_turned
    }

    /// Returns what the window says, once half of it has passed.
    pub(crate) fn advice(&self, leaving: Leaving, now: Time) -> Option<Advice> {
        let watched = now.span_since(self.began).min(self.window);
        let mut seen = Slice::default();
        self.slices.iter().for_each(|slice| seen.add(slice));
        if watched < Span::from_nanos(self.window.nanos() / 2) || seen.came < ENOUGH {
            return None;
        }
        let max = self.last.0.max;
        leave(leaving)
            .or_else(|| seen.too_few(max, watched))
            .or_else(|| seen.too_many(max, watched))
    }

    /// Returns the advice if it is another one than was told last.
    pub(crate) fn news(&mut self, advice: Option<Advice>) -> Option<Advice> {
        let is_news = match (&advice, &self.told) {
            (Some(new), Some(old)) => !new.is_like(old),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_news || advice.is_none() {
            self.told = advice;
        }
        advice.filter(|_| is_news)
    }
}

fn part_of(window: Span) -> Span {
    Span::from_nanos(window.nanos() / SLICES as u64)
}

/// Callers leave before the pool ends their wait.
fn leave(leaving: Leaving) -> Option<Advice> {
    let after = leaving.after?;
    let limit = leaving.acquire_timeout;
    let is_early = Span::from(after).nanos() < limit.nanos() / 10 * 9;
    is_early.then(|| Advice::CallersLeave { after, acquire_timeout: limit.into() })
}

impl Slice {
    /// Callers wait although all connections are in use.
    fn too_few(&self, max: usize, watched: Span) -> Option<Advice> {
        if self.came_to_a_queue * 100 < self.came {
            return None;
        }
        let always_full = || {
            let next = max.saturating_add((max / 3).max(1));
            Some(Advice::AlwaysFull { max, next })
        };
        let is_always = self.time_queued >= self.time / 10 * 9;
        let (Some(when_full), Some(when_few), false) =
            (self.when_full.mean(), self.when_few.mean(), is_always)
        else {
            return always_full();
        };
        if when_full.as_secs_f64() >= when_few.as_secs_f64() * 1.3 {
            return Some(Advice::NotTheCap { max, when_full, when_few });
        }
        let nanos = self.wait_nanos / u128::from(self.waits.max(1));
        let mean_wait = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let asked_for = self.asked_for.all_but_one_in(1000);
        let enough = asked_for.min(self.at_random(watched)).max(max.saturating_add(1));
        Some(Advice::TooSmall { max, enough, mean_wait })
    }

    /// Returns how many are enough for 99.9 % of what arrives at random, with as many in use on average
    /// as were: a queue makes more seem to be asked for at once.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    fn at_random(&self, watched: Span) -> usize {
        let mean = self.all.held as f64 / watched.nanos().max(1) as f64;
        (mean + 3.1 * mean.sqrt()).ceil() as usize
    }

    fn too_many(&self, max: usize, watched: Span) -> Option<Advice> {
        let enough = self.asked_for.all_but_one_in(1000).max(1);
        let is_much_less =
            max == usize::MAX || (enough * 10 <= max * MUCH_LESS && enough + 2 <= max);
        let max = (max != usize::MAX).then_some(max);
        is_much_less.then(|| Advice::TooLarge { max, enough, watched: watched.into() })
    }
}
