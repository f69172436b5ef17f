//! Tells when callers give up before they are served, so that the newest are served first, and when
//! they are served in order again.

use std::time::Duration;

use super::HostState;
use crate::engine::{Parts, Section};
use crate::policy::time::{Span, Time};

/// Waits are being lost, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overload {
    pub(crate) is_over: bool,
    /// How long those have waited whose waits were lost.
    pub(crate) lost_after: Duration,
    pub(crate) waiting: usize,
}

/// What was told of a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// How long those had waited, when it was told that waits are lost, and not that they are served.
    now: Option<Duration>,
    /// The beginning of the next one is not told before this.
    not_before: Time,
}

impl Told {
    pub(super) const NOTHING: Told = Told { now: None, not_before: Time::START };
}

/// Where the load is near to what can be served, waits are lost now and then.
const PAUSE: Span = Span::from_nanos(10_000_000_000);

impl<P: Parts> HostState<P> {
    /// Returns how long those have waited whose waits were lost, while the newest are served first
    /// because of them.
    pub(super) fn lost_after(&self) -> Option<Duration> {
        self.waiters.as_ref().and_then(|waiters| waiters.lost_after())
    }

    /// Tells that waits are being lost, at most once in ten seconds, and that they are served again.
    pub(super) fn tell_overload(&mut self, section: &mut Section<'_, P>) {
        let told = self.rare.as_ref().and_then(|rare| rare.overload.now);
        let is = self.lost_after();
        let told_first = match (told, is) {
            (None, Some(lost_after)) if self.may_tell(section.now) => lost_after,
            (Some(lost_after), None) => lost_after,
            _ => return,
        };
        let overload = &mut self.rare().overload;
        overload.now = is;
        if is.is_some() {
            overload.not_before = section.now.after(PAUSE);
        }
        let waiting = self.waiting();
        section.actions.overload =
            Some(Overload { is_over: is.is_none(), lost_after: told_first, waiting });
    }

    fn may_tell(&self, now: Time) -> bool {
        self.rare.as_ref().is_none_or(|rare| rare.overload.not_before <= now)
    }
}
