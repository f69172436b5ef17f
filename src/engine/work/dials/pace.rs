//! How many dials of a host may be in flight, and when the next one begins: congestion control.
//!
//! A time-out says that the server, or the way to it, has more work than it does in time; a refusal
//! says that it is down or full. The answer to the first is fewer dials, to the second the same one
//! again a little later. A pure machine: it is told how dials end, and is asked what may begin.
//!
//! # The window
//!
//! A host that is new, or has lost everything, dials once. An answer within [`QUICK`] opens the
//! window as far as the caps; one within [`STEADY`], or within one and a half times the host's
//! usual time, by one. So a server that keeps up pays one dial time, once; one that does not is
//! asked for no more than it has shown to do. (Windows of 2 and 4 at the start gain nothing where
//! the server is quick, and cost 300 pools that start together 1,700 of 3,000 dials.)
//!
//! # Slow dials
//!
//! A dial is *slow* after 20 times the usual time, at least [`STEADY`], and after [`COLD`] where
//! none is known: later than the time after which a lost packet is sent again. It runs on, because
//! a server with a queue may be about to answer it; but it counts for nobody, the window closes to
//! one, and after the n-th in a row the next dial begins 1, 2, 4 … times that time after its start.
//!
//! # Refusals
//!
//! With nothing open the server is down. While connections are open and come back, it is *full*: it
//! is asked again only after the longer pauses of a host that nobody waits for, or when one of the
//! connections is lost, and those who wait get what returns.

use std::time::Duration;

use crate::policy::backoff::Backoff;
use crate::policy::time::{Span, Time};

/// An answer within this time opens the window as far as the caps. With half of it, hosts at 300 ms
/// a dial would need three times as long for a hundred callers.
const QUICK: Span = millis(500);

/// An answer within this time opens the window by one. No dial is slow before.
const STEADY: Span = millis(1000);

/// A dial is slow after this time where nothing is known.
const COLD: Span = millis(2500);

/// A dial is slow after this many times the usual time.
const SLOW_IN_DIALS: u64 = 20;

/// Where nothing has returned for this long, or for twice the longest use, nothing will.
const PATIENCE: Span = millis(3000);

const fn millis(n: u64) -> Span {
    Span::from_nanos(n * 1_000_000)
}

/// The largest share of a pause after a slow dial by which it is shortened at random, so that pools
/// do not dial in step. With a half, some hosts begin twice as many dials.
const JITTER: f64 = 0.125;

/// For which purpose a dial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Waiters,
    /// Nobody waits for it.
    Spare,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Slow,
    Refused,
}

/// What a refusal with open connections says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    /// The server had this many.
    pub(crate) size: usize,
    pub(crate) at: Time,
}

/// Whether loans come back while dials fail or are slow.
#[derive(Clone, Copy, Debug)]
struct Returns {
    /// When the last one did, or when the trouble began.
    last: Time,
    longest_use: Span,
}

/// Dials fail, or are slow.
#[derive(Debug)]
struct Trouble {
    kind: Kind,
    /// Events of this kind in a row.
    steps: u32,
    /// When the next dial may begin for those who wait, and for nobody.
    next: Time,
    next_spare: Time,
    full: Option<Full>,
    returns: Returns,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pace {
    window: u32,
    /// The time of the quicker dials, in microseconds; 0 if none is known.
    usual: u32,
    /// A healthy host has had a slow success, which pauses nothing: the next one does.
    is_warned: bool,
    trouble: Option<Box<Trouble>>,
}

/// How long to wait, and by how much less at random, from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    pub(crate) backoff: Backoff,
    pub(crate) random: f64,
}

impl Waits {
    /// Returns how long after the start of the n-th slow dial in a row the next one begins.
    fn after_slow(self, steps: u32, slow: Span) -> Span {
        let factor = 1_u64 << steps.saturating_sub(1).min(32);
        let pause = Span::from_nanos(slow.nanos().saturating_mul(factor));
        pause
            .min(Span::from(self.backoff.max))
            .shortened(self.random * self.backoff.jitter.min(JITTER))
    }
}

impl Pace {
    pub(crate) fn new() -> Self {
        Pace { window: 1, usual: 0, is_warned: false, trouble: None }
    }

    /// Returns how many dials may be in flight now that began since the last event and are not
    /// slow, if the next one may begin then.
    pub(crate) fn allows(&self, next: Time, now: Time) -> u32 {
        match &self.trouble {
            None => self.window,
            Some(_) => u32::from(now >= next),
        }
    }

    /// Returns whether dials are refused, and not because the server is full.
    pub(crate) fn is_down(&self, open: usize, now: Time) -> bool {
        self.steps_of(Kind::Refused) > 0 && self.full(open, now).is_none()
    }

    /// Returns when the next dial may begin: `START` if nothing is wrong.
    pub(crate) fn next(&self, purpose: For, open: usize, now: Time) -> Time {
        self.trouble.as_ref().map_or(Time::START, |trouble| trouble.next(purpose, open, now))
    }

    pub(crate) fn is_troubled(&self) -> bool {
        self.trouble.is_some()
    }

    /// Returns whether dials are slow.
    pub(crate) fn is_slow(&self) -> bool {
        self.steps_of(Kind::Slow) > 0
    }

    /// Returns how many dials in a row have failed or were slow.
    pub(crate) fn troubles(&self) -> u32 {
        self.trouble.as_ref().map_or(0, |trouble| trouble.steps)
    }

    fn steps_of(&self, kind: Kind) -> u32 {
        self.trouble.as_ref().filter(|trouble| trouble.kind == kind).map_or(0, |was| was.steps)
    }

    /// Returns the time of the quicker dials, if one has succeeded.
    fn usual(&self) -> Option<Span> {
        (self.usual > 0).then(|| Span::from(Duration::from_micros(self.usual.into())))
    }

    /// Returns whether the time of a dial is known.
    pub(crate) fn knows_usual(&self) -> bool {
        self.usual > 0
    }

    /// Returns after how long a dial is slow.
    pub(crate) fn slow_after(&self, is_shared: bool) -> Span {
        match self.usual() {
            Some(usual) => {
                STEADY.max(Span::from_nanos(usual.nanos().saturating_mul(SLOW_IN_DIALS)))
            }
            // Many callers wait for one dial.
            None if is_shared => STEADY,
            None => COLD,
        }
    }

    /// Returns how many times its time-out a dial may take: a server with more work in its queue
    /// would otherwise work for those only who have gone.
    pub(crate) fn lives(&self) -> u32 {
        match self.steps_of(Kind::Slow) {
            0 => 1,
            1 => 2,
            _ => 4,
        }
    }

    /// A dial has succeeded.
    pub(crate) fn succeeded(&mut self, took: Span, is_shared: bool, waits: Waits, now: Time) {
        let is_within = |times: u64| {
            self.usual()
                .is_some_and(|usual| took.nanos() <= usual.nanos().saturating_mul(times) / 2)
        };
        let (is_usual, is_ordinary) = (is_within(3), is_within(6));
        self.learn(took.min(self.slow_after(is_shared)));
        if took <= QUICK {
            self.recover(u32::MAX);
        } else if took <= STEADY || is_usual {
            self.recover(self.window.saturating_add(1));
        } else if is_ordinary {
            self.recover(self.window);
        } else if self.trouble.is_none() && !self.is_warned {
            self.is_warned = true;
        } else {
            // It serves, and proves nothing: others are still in the server's queue.
            let steps = self.steps_of(Kind::Slow).max(1);
            let slow = self.slow_after(is_shared).min(took);
            let next = now.after(waits.after_slow(steps, slow));
            self.enter_slow(steps, next, now);
        }
    }

    /// All is well.
    fn recover(&mut self, window: u32) {
        (self.window, self.trouble, self.is_warned) = (window, None, false);
    }

    /// A quicker dial is the usual one at once; slower ones shift it by an eighth, so that a host
    /// that has moved away is known after some dials, and a crowd on the server is not the rule. One
    /// that was slow says no more than that.
    fn learn(&mut self, took: Span) {
        let took = u32::try_from(Duration::from(took).as_micros()).unwrap_or(u32::MAX).max(1);
        let is_first = self.usual == 0;
        self.usual = if is_first {
            took
        } else {
            took.min(self.usual + took.saturating_sub(self.usual) / 8)
        };
    }

    /// A dial is slow that began then.
    pub(crate) fn slowed(&mut self, began: Time, slow: Span, waits: Waits, now: Time) {
        let steps = self.steps_of(Kind::Slow).saturating_add(1);
        let next = began.after(waits.after_slow(steps, slow)).max(now);
        self.enter_slow(steps, next, now);
    }

    fn enter_slow(&mut self, steps: u32, next: Time, now: Time) {
        self.window = 1;
        let returns = self.returns(now);
        let (kind, next_spare) = (Kind::Slow, next);
        self.enter(Trouble { kind, steps, next, next_spare, full: None, returns });
    }

    /// Returns what is known of loans that come back, if dials began to fail now or before.
    fn returns(&self, now: Time) -> Returns {
        let begins = Returns { last: now, longest_use: Span::ZERO };
        self.trouble.as_ref().map_or(begins, |was| was.returns)
    }

    /// A dial was refused while this many connections were open.
    pub(crate) fn refused(&mut self, open: usize, waits: Waits, now: Time) {
        let steps = self.steps_of(Kind::Refused).saturating_add(1);
        let Waits { backoff, random } = waits;
        let (next, next_spare) = (
            now.after(backoff.wait_while_wanted(steps, random)),
            now.after(backoff.wait(steps, random)),
        );
        let full = (open > 0).then_some(Full { size: open, at: now });
        let returns = self.returns(now);
        self.enter(Trouble { kind: Kind::Refused, steps, next, next_spare, full, returns });
    }

    fn enter(&mut self, trouble: Trouble) {
        self.trouble = Some(Box::new(trouble));
    }

    /// Every connection was found dead.
    pub(crate) fn lost_all(&mut self) {
        self.window = 1;
    }

    /// A connection has returned after it was used for this long.
    pub(crate) fn returned(&mut self, used: Span, now: Time) {
        if let Some(Trouble { returns, .. }) = self.trouble.as_deref_mut() {
            returns.last = returns.last.max(now);
            returns.longest_use = returns.longest_use.max(used);
        }
    }

    /// The host was retired: earlier failures say little about later dials, which may begin this
    /// long after them.
    pub(crate) fn forgive(&mut self, soonest: Time) {
        if let Some(trouble) = &mut self.trouble {
            trouble.next = trouble.next.min(soonest);
            trouble.next_spare = trouble.next_spare.min(soonest);
            trouble.full = None;
        }
    }

    /// Returns until when loans count as on their way to those who wait.
    pub(crate) fn loans_count_until(&self) -> Time {
        match self.trouble.as_deref() {
            None => Time::NEVER,
            Some(Trouble { kind: Kind::Refused, full: None, .. }) => Time::START,
            Some(Trouble { returns, .. }) => returns.patience_ends(),
        }
    }

    /// Returns what the server has shown to take at most, if it is full.
    pub(crate) fn full(&self, open: usize, now: Time) -> Option<Full> {
        self.trouble.as_ref()?.full(open, now)
    }
}

impl Trouble {
    fn next(&self, purpose: For, open: usize, now: Time) -> Time {
        let is_full = self.full(open, now).is_some();
        if purpose == For::Spare || is_full { self.next_spare } else { self.next }
    }

    /// The server has as many as it takes, and they come back.
    fn full(&self, open: usize, now: Time) -> Option<Full> {
        self.full.filter(|full| open >= full.size && now < self.returns.patience_ends())
    }
}

impl Returns {
    fn patience_ends(self) -> Time {
        let twice = Span::from_nanos(self.longest_use.nanos().saturating_mul(2));
        self.last.after(PATIENCE.max(twice))
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests;
