//! The timer of one connection's heartbeats: plain state that its driver updates.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::heartbeat::{Record, WebSocketHeartbeat};

pub(super) struct HeartbeatTimer {
    settings: WebSocketHeartbeat,
    timer: Pin<Box<Sleep>>,
    /// The heartbeat that waits for a sign of life.
    beat: Option<Beat>,
}

struct Beat {
    begun: Instant,
    /// Whether its Ping was given to the system: the time for the answer starts then.
    is_sent: bool,
    /// The bytes that had been written to the socket at the last check.
    written: u64,
}

/// The action that the timer requests.
pub(super) enum HeartbeatEvent {
    /// Send a Ping.
    Due,
    /// Nothing arrived: this many heartbeats in a row are missed.
    Missed(u32),
    /// This many in a row are missed, and the peer is given up.
    Dead(u32),
}

impl HeartbeatTimer {
    pub(super) fn new(settings: WebSocketHeartbeat, now: Instant) -> Self {
        let timer = Box::pin(sleep_until(later(now, settings.every)));
        HeartbeatTimer { settings, timer, beat: None }
    }

    /// Any heartbeat in flight is answered. The timer is reset only where it would fire too late:
    /// it finds out by itself that there was a sign of life, at a fraction of the cost.
    pub(super) fn heard(&mut self, now: Instant) {
        if self.beat.take().is_some() {
            self.restart(now);
        }
    }

    /// The system has taken everything that was written. Returns whether a Ping was among it: the
    /// timer was then reset and has to be polled.
    pub(super) fn sent(&mut self) -> bool {
        let Some(beat) = self.beat.as_mut().filter(|beat| !beat.is_sent) else { return false };
        beat.is_sent = true;
        let end = later(Instant::now(), self.settings.timeout);
        self.timer.as_mut().reset(end);
        true
    }

    /// Starts over: at present, nothing that the peer does can be seen.
    pub(super) fn restart(&mut self, now: Instant) {
        self.beat = None;
        self.timer.as_mut().reset(later(now, self.settings.every));
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        record: &mut Record,
        written: u64,
    ) -> Poll<HeartbeatEvent> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let (next, event) = self.event(now, record, written);
            self.timer.as_mut().reset(next);
            if let Some(event) = event {
                return Poll::Ready(event);
            }
        }
    }

    /// The time of the next check, and what to do now.
    fn event(
        &mut self,
        now: Instant,
        record: &mut Record,
        written: u64,
    ) -> (Instant, Option<HeartbeatEvent>) {
        let WebSocketHeartbeat { every, timeout, max_missed } = self.settings;
        let Some(beat) = &mut self.beat else {
            let due = later(record.heard, every);
            if due > now {
                return (due, None);
            }
            record.beats += 1;
            self.beat = Some(Beat { begun: now, is_sent: false, written });
            return (later(now, timeout), Some(HeartbeatEvent::Due));
        };
        // The Ping is queued behind data that the peer is still reading: it is alive.
        if !beat.is_sent && written > beat.written {
            beat.written = written;
            return (later(now, timeout), None);
        }
        let next = later(beat.begun, every).max(now);
        self.beat = None;
        record.missed += 1;
        record.missed_in_a_row += 1;
        let missed = record.missed_in_a_row;
        let event = if missed < max_missed { HeartbeatEvent::Missed } else { HeartbeatEvent::Dead };
        (next, Some(event(missed)))
    }
}

/// Adds the duration, or returns a time that is too far away to matter: the clock's range is
/// smaller than that of `Duration`.
fn later(now: Instant, time: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now + time.min(CENTURY)
}
