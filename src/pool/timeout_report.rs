//! The report of an acquire that timed out.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::shown_host::of_host;
use super::status::LoanInfo;
use crate::policy::close_reason::CloseReason;

/// What a caller was waiting for when its time-out passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Phase {
    /// A connection to return: none was idle, and neither a dial nor a ping was in flight.
    Queue,
    /// A dial was in flight.
    Dial,
    /// An idle connection was being pinged or reset, and no dial was in flight.
    Ping,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Queue => "a connection",
            Phase::Dial => "a dial",
            Phase::Ping => "a ping",
        })
    }
}

/// Why an acquire timed out. Its parts are the fields of [`TimeoutDetails`], to which it derefs:
/// `report.in_use`.
#[derive(Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TimeoutReport(Box<TimeoutDetails>);

impl TimeoutReport {
    /// Boxed, so that a rare variant does not enlarge every result.
    pub(crate) fn new(details: TimeoutDetails) -> Self {
        TimeoutReport(Box::new(details))
    }
}

impl Deref for TimeoutReport {
    type Target = TimeoutDetails;

    fn deref(&self) -> &TimeoutDetails {
        &self.0
    }
}

impl fmt::Debug for TimeoutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of a host when an acquire timed out.
///
/// With the feature `serde` it is written under the names of its fields: times as a number of seconds, and of the last
/// dial's error its message.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TimeoutDetails {
    /// The host's key, in its `Debug` form.
    pub key: String,
    /// How long the caller waited.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
    pub waited: Duration,
    /// What it was waiting for.
    pub phase: Phase,
    /// How long the oldest ping or reset in flight had not been answered, if the caller waited for
    /// one.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
    pub pinged: Duration,
    /// Connections that were lent.
    pub in_use: usize,
    /// Connections that were idle.
    pub idle: usize,
    /// Dials in flight.
    pub dialing: usize,
    /// Connections being closed that still held their place under the caps.
    pub closing: usize,
    /// Callers that waited, this one included.
    pub waiting: usize,
    /// Callers that were already waiting when this one joined.
    pub ahead: usize,
    /// The host's cap; `usize::MAX` if it has none.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::cap"))]
    pub max: usize,
    /// The loans that are held longest, up to 16, the longest held first. The limit keeps the error
    /// small; [`Host::loans`](crate::Host::loans) lists them all.
    pub loans: Vec<LoanInfo>,
    /// How many more loans there are than in `loans`.
    pub more_loans: usize,
    /// How many loans were held by tasks that waited for the same host, this caller's own included: a deadlock if it is all
    /// of them. Zero without [`deadlock_warnings`](crate::Builder::deadlock_warnings).
    pub held_by_waiting: usize,
    /// The dials in flight that have taken much longer than usual, if there are any.
    pub slow_dials: Option<SlowDials>,
    /// The time until the next dial begins, where dials have failed or were slow; zero if that is now.
    /// `None` if nothing puts dials off.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::policy::figures::seconds_or_null")
    )]
    pub next_dial: Option<Duration>,
    /// What the server takes at most, if it refuses more connections than it has.
    pub full_server: Option<FullServer>,
    /// The connections of a [`SharedPool`](crate::SharedPool) that drain, if any do.
    pub draining: Option<Draining>,
    /// How long others had waited lately when they gave up, if more than one wait in eight ends that way:
    /// the newest callers are served first then, see [`Order`](crate::Order).
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::policy::figures::seconds_or_null")
    )]
    pub lost_after: Option<Duration>,
    /// How the last dial failed, if none has succeeded since.
    pub last_dial_error: Option<LastDialError>,
}

/// Dials in flight that have taken much longer than usual: nobody waits for them any more.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SlowDials {
    /// How many there are.
    pub count: usize,
    /// How long the oldest has taken so far.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
    pub oldest: Duration,
}

/// A server that has refused a connection while others were open and came back.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FullServer {
    /// How many connections of this host were open.
    pub connections: usize,
    /// How long ago it was.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
    pub age: Duration,
}

/// Shared connections that take no new leases, and are closed after their last one.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Draining {
    /// How many there are.
    pub connections: usize,
    /// How many of them still hold a place under [`max_per_host`](crate::Builder::max_per_host). All of
    /// them count under [`max_total`](crate::Builder::max_total).
    pub places: usize,
    /// The leases that they carry.
    pub leases: usize,
    /// Why most of them drain.
    pub reason: CloseReason,
}

/// The failure of a dial, and how long ago it was.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LastDialError {
    /// The connector's error, for `downcast_ref`. `None` if the dial timed out or panicked.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub error: Option<Arc<dyn Error + Send + Sync>>,
    /// The failure as text: the error's message, followed by those of its sources that it does not
    /// contain, separated by `": "`.
    pub message: String,
    /// How long ago it was.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
    pub age: Duration,
}

impl TimeoutDetails {
    pub(super) fn dial_error(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self.last_dial_error.as_ref()?.error.as_ref()?)
    }

    /// Returns whether all current loans began after this caller joined.
    fn have_all_come_back(&self) -> bool {
        self.loans.first().is_some_and(|longest| longest.held < self.waited)
    }

    fn all_loans(&self) -> usize {
        self.loans.len() + self.more_loans
    }

    fn is_deadlock(&self) -> bool {
        self.in_use >= self.max
            && self.held_by_waiting > 0
            && self.held_by_waiting == self.all_loans()
    }

    /// Returns whether at least half of the places are held by connections that drain.
    fn is_drained(&self) -> bool {
        self.draining.is_some_and(|draining| 2 * draining.places >= self.in_use)
    }

    /// Returns whether others gave up much sooner than this caller, before their time-outs.
    fn do_others_leave_sooner(&self) -> bool {
        self.lost_after.is_some_and(|after| after < self.waited / 4 * 3)
    }

    /// What to look at: the first of these that holds.
    fn hint(&self) -> &'static str {
        if self.waited.is_zero() && self.idle > 0 {
            "idle connections have to answer a ping first, and the caller did not wait"
        } else if self.waited.is_zero() {
            "nothing was idle, and the caller did not wait"
        } else if self.pinged > self.waited / 2 || self.idle > 0 {
            // If callers wait, idle connections are being pinged.
            "pings are not answered: look at the host, or lower ping_timeout"
        } else if self.is_deadlock() {
            "tasks that hold a connection wait for another one: take one at a time, or pass it on"
        } else if self.in_use >= self.max && self.is_drained() {
            DRAINED
        } else if self.in_use >= self.max && self.do_others_leave_sooner() {
            "callers leave before they are served: set acquire_timeout to half of what they wait, or raise max_per_host"
        } else if self.in_use >= self.max && self.have_all_come_back() {
            "callers arrive faster than connections are returned: raise max_per_host, or return them sooner"
        } else if self.in_use >= self.max {
            "raise max_per_host or look for loans that are never returned"
        } else if self.full_server.is_some() {
            "the server takes no more connections: lower max_per_host, or raise the server's own limit"
        } else if self.last_dial_error.is_some() {
            "dials fail: look at the host"
        } else if self.dialing > 0 || self.next_dial.is_some() {
            "dials are slow: look at the host, or raise acquire_timeout"
        } else if self.in_use + self.closing >= self.max {
            "closes are slow: look at the host, or lower close_timeout"
        } else if self.draining.is_some() {
            DRAINED
        } else {
            "a cap for all hosts leaves no room: raise max_total or max_dialing"
        }
    }
}

const DRAINED: &str =
    "connections drain until their last lease ends: end long leases, or raise the cap";

impl fmt::Display for TimeoutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TimeoutDetails { key, phase, in_use, idle, dialing, .. } = &*self.0;
        let (waited, host) = (secs(self.waited), of_host(" to ", key));
        write!(f, "timed out after {waited} waiting for {phase}{host}: {in_use}")?;
        if self.max != usize::MAX {
            write!(f, " of {}", self.max)?;
        }
        write!(f, " in use, {idle} idle, {dialing} dialing, ")?;
        if self.closing > 0 {
            write!(f, "{} closing, ", self.closing)?;
        }
        write!(f, "{} waiting", self.waiting)?;
        if self.ahead > 0 {
            write!(f, " ({} when this caller joined)", self.ahead)?;
        }
        if let Some(longest) = self.loans.first() {
            let (held, place) = (secs(longest.held), longest.place);
            write!(f, "; longest held {held}, acquired at {place}")?;
        }
        if self.in_use >= self.max && self.held_by_waiting > 0 {
            write!(f, "; held by waiting tasks: {} of {}", self.held_by_waiting, self.all_loans())?;
        }
        if let Some(after) = self.lost_after {
            write!(
                f,
                "; the newest are served first, because others gave up after {}",
                secs(after)
            )?;
        }
        if let Some(draining) = &self.draining {
            write!(f, "; {draining}")?;
        }
        match (&self.slow_dials, self.next_dial) {
            (Some(slow), Some(next)) => write!(f, "; {slow}, the next in {}", secs(next))?,
            (Some(slow), None) => write!(f, "; {slow}")?,
            (None, Some(next)) if self.last_dial_error.is_none() => {
                write!(f, "; the next dial in {}", secs(next))?;
            }
            (None, _) => {}
        }
        match (&self.full_server, &self.last_dial_error) {
            (Some(full), Some(last)) => write!(f, "; {}: {})", full.begin(), last.message)?,
            (_, Some(last)) => {
                write!(f, "; last dial error {} ago: {}", secs(last.age), last.message)?;
            }
            _ => {}
        }
        write!(f, "; {}", self.hint())
    }
}

/// `3 dials are slow (the oldest 7.0 s)`.
impl fmt::Display for SlowDials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let oldest = secs(self.oldest);
        match self.count {
            1 => write!(f, "1 dial is slow ({oldest})"),
            count => write!(f, "{count} dials are slow (the oldest {oldest})"),
        }
    }
}

/// `2 connections drain (retired) with 5 leases`.
impl fmt::Display for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.reason.why_it_drains();
        match self.connections {
            1 => write!(f, "1 connection drains ({why}) with ")?,
            count => write!(f, "{count} connections drain ({why}) with ")?,
        }
        match self.leases {
            1 => write!(f, "1 lease"),
            leases => write!(f, "{leases} leases"),
        }
    }
}

/// `the server took 2 connections at most (refused 3.1 s ago`: the error follows.
impl FullServer {
    fn begin(self) -> String {
        let plural = if self.connections == 1 { "" } else { "s" };
        format!(
            "the server took {} connection{plural} at most (refused {} ago",
            self.connections,
            secs(self.age)
        )
    }
}

fn secs(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
