//! The timer that tells hyper when to ping the peer of an HTTP/2 connection.
//!
//! hyper has no method that pings: it sends a ping when its keep-alive interval is over, and ends
//! the connection when the time for the answer is over. It takes both times from this timer. The
//! timer ends the interval early when the peer should be pinged. If idle connections are not to be
//! pinged, it does not end the interval until an exchange is in progress.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use hyper_util::rt::TokioTimer;

use super::http2::{Http2Options, LONGEST};
use super::peer::Peer;

/// Added to the time-out that hyper is told, so that the deadline for an answer can be told from
/// the end of an interval, which is never that long.
const MARK: Duration = Duration::from_secs(2 * LONGEST.as_secs());

/// See the module.
pub(super) struct PingTimer {
    peer: Arc<Peer>,
    pings_idle: bool,
}

impl PingTimer {
    /// Also returns the interval and the time-out to configure in hyper. Without keep-alive, a peer
    /// is pinged only on request, and a missing answer ends nothing.
    pub(super) fn new(peer: Arc<Peer>, options: &Http2Options) -> (Self, Duration, Duration) {
        let times = options.keep_alive_interval.map(|time| (time, options.keep_alive_timeout));
        let (interval, timeout) = times.unwrap_or((LONGEST, LONGEST));
        let timer = PingTimer { peer, pings_idle: options.keep_alive_while_idle };
        (timer, interval, timeout + MARK)
    }

    fn until(&self, deadline: Instant) -> PingSleep {
        let answer_by = deadline.checked_sub(MARK).filter(|at| *at >= self.now());
        if answer_by.is_some() {
            // hyper has just sent a ping.
            self.peer.was_asked();
        }
        PingSleep {
            is_for_answer: answer_by.is_some(),
            pings_idle: self.pings_idle,
            sleep: TokioTimer::new().sleep_until(answer_by.unwrap_or(deadline)),
            peer: self.peer.clone(),
        }
    }
}

impl Timer for PingTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.until(deadline))
    }

    fn now(&self) -> Instant {
        TokioTimer::new().now()
    }
}

/// Sleeps until a ping should be sent, or was not answered in time.
struct PingSleep {
    is_for_answer: bool,
    pings_idle: bool,
    sleep: Pin<Box<dyn Sleep>>,
    peer: Arc<Peer>,
}

impl Future for PingSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_for_answer {
            return self.sleep.as_mut().poll(cx);
        }
        if self.peer.is_asked(cx) {
            return Poll::Ready(());
        }
        ready!(self.sleep.as_mut().poll(cx));
        // When an exchange starts, hyper polls again.
        let may_ping = self.pings_idle || self.peer.has_streams();
        if may_ping { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Sleep for PingSleep {}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::peer::Exchange;

    const INTERVAL: Duration = Duration::from_secs(20);
    const TIMEOUT: Duration = Duration::from_secs(10);

    fn timer(pings_idle: bool) -> (PingTimer, Arc<Peer>) {
        let options = Http2Options {
            keep_alive_interval: Some(INTERVAL),
            keep_alive_timeout: TIMEOUT,
            keep_alive_while_idle: pings_idle,
            ..Http2Options::default()
        };
        let peer = Peer::new();
        let (timer, interval, timeout) = PingTimer::new(peer.clone(), &options);
        assert_eq!((interval, timeout), (INTERVAL, TIMEOUT + MARK));
        (timer, peer)
    }

    fn has_ended(sleep: &mut Pin<Box<dyn Sleep>>) -> bool {
        sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn an_interval_ends_while_an_exchange_is_under_way() {
        let (timer, peer) = timer(false);
        let mut sleep = timer.sleep(INTERVAL);
        tokio::time::sleep(2 * INTERVAL).await;
        assert!(!has_ended(&mut sleep));
        let exchange = Exchange::begin(peer);
        assert!(has_ended(&mut sleep));
        drop(exchange);
        assert!(!has_ended(&mut sleep));
    }

    #[tokio::test(start_paused = true)]
    async fn an_interval_ends_in_any_case_where_idle_connections_are_pinged() {
        let (timer, _) = timer(true);
        let mut sleep = timer.sleep(INTERVAL);
        tokio::time::sleep(Duration::from_millis(19_999)).await;
        assert!(!has_ended(&mut sleep));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(has_ended(&mut sleep));
    }

    #[tokio::test(start_paused = true)]
    async fn an_interval_ends_at_once_when_the_peer_is_asked_and_the_time_for_its_answer_does_not()
    {
        let (timer, peer) = timer(false);
        let mut sleep = timer.sleep(INTERVAL);
        let mut ping = Box::pin(peer.ping());
        assert!(ping.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(has_ended(&mut sleep));
        // hyper sends the ping.
        timer.reset(&mut sleep, timer.now() + TIMEOUT + MARK);
        assert!(!has_ended(&mut sleep));
        let mut next = timer.sleep(INTERVAL);
        assert!(!has_ended(&mut next), "it was asked once");
        tokio::time::sleep(TIMEOUT).await;
        assert!(has_ended(&mut sleep));
    }
}
