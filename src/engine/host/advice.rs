//! Samples of the host, and what they say of its size.

use super::HostState;
use crate::engine::advice::{Leaving, Sample, Samples};
use crate::engine::{Parts, Section};
use crate::policy::advice::Advice;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

impl<P: Parts> HostState<P> {
    /// Begins to take samples of a host that is in use, or takes them faster again.
    #[inline]
    pub(super) fn watch_size(&mut self, section: &Section<'_, P>) {
        if section.common.limits.advice != Span::FOREVER {
            self.watch(section.common.limits.advice, section.now);
        }
    }

    #[cold]
    fn watch(&mut self, window: Span, now: Time) {
        if !self.has_use() {
            return;
        }
        let sample = self.sample();
        let samples = &mut self.rare().samples;
        let samples = samples.get_or_insert_with(|| Box::new(Samples::new(window, sample, now)));
        samples.hurry(now);
    }

    /// Returns whether anything is in use or wanted.
    fn has_use(&self) -> bool {
        self.connections.gauges().in_use > 0 || self.waiting() > 0
    }

    fn sample(&self) -> Sample {
        let (usual, counted) = (&self.counters, self.counted());
        let waits = counted.waits_ended() + self.waiting() as u64;
        let max = self.membership.max();
        Sample {
            in_use: self.connections.gauges().in_use as usize,
            wanted: self.waiting().div_ceil(self.dials.carries().max(1)),
            max: if max == u32::MAX { usize::MAX } else { max as usize },
            begun: usual.reused + usual.served,
            came: usual.reused + waits,
            wait_time: usual.wait_time,
            waits: counted.waits_ended(),
        }
    }

    pub(super) fn next_sample(&self) -> Time {
        let samples = self.rare.as_ref().and_then(|rare| rare.samples.as_ref());
        samples.map_or(Time::NEVER, |samples| samples.next())
    }

    /// Takes the sample that is due, and tells of other advice.
    pub(super) fn take_sample(&mut self, section: &mut Section<'_, P>) {
        let now = section.now;
        if self.next_sample() > now {
            return;
        }
        let (sample, goes_on) = (self.sample(), self.connections.len() > 0 || self.waiting() > 0);
        let leaving = self.leaving(&section.common.limits);
        let Some(samples) = &mut self.rare().samples else { return };
        if samples.take(sample, goes_on, (now, section.random)) {
            let advice = samples.advice(leaving, now);
            section.actions.advice = samples.news(advice);
        }
    }

    fn leaving(&self, limits: &Limits) -> Leaving {
        Leaving { after: self.lost_after(), acquire_timeout: limits.acquire_timeout }
    }

    /// Returns what would help the host's callers.
    pub(crate) fn advice(&self, limits: &Limits, now: Time) -> Option<Advice> {
        let samples = self.rare.as_ref()?.samples.as_ref()?;
        samples.advice(self.leaving(limits), now)
    }

    /// The window has changed.
    pub(super) fn set_window(&mut self, window: Span) {
        let Some(rare) = &mut self.rare else { return };
        match &mut rare.samples {
            _ if window == Span::FOREVER => rare.samples = None,
            Some(samples) => samples.set_window(window),
            None => {}
        }
    }
}
