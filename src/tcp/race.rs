//! Happy Eyeballs (RFC 8305): tries several addresses and takes the first that answers.
//!
//! This file knows nothing about sockets; the caller says what an attempt is.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

/// Starts an attempt for each item in order: the next one when one has failed, or when none has
/// ended for `pace`. Returns the first success and drops the other attempts, or returns all errors
/// in the order in which they occurred.
///
/// # Cancel safety
///
/// Dropping the future drops all attempts.
pub(super) async fn race<I, F, T, E>(
    items: I,
    pace: Duration,
    mut attempt: impl FnMut(I::Item) -> F,
) -> Result<T, Vec<E>>
where
    I: IntoIterator,
    F: Future<Output = Result<T, E>>,
{
    let mut items = items.into_iter().peekable();
    let mut running: Vec<Pin<Box<F>>> = Vec::new();
    let mut errors = Vec::new();
    loop {
        running.extend(items.next().map(|item| Box::pin(attempt(item))));
        if running.is_empty() {
            return Err(errors);
        }
        let ended = first(&mut running);
        let ended = if items.peek().is_some() {
            timeout(pace, ended).await.ok()
        } else {
            Some(ended.await)
        };
        match ended {
            Some(Ok(winner)) => return Ok(winner),
            Some(Err(error)) => errors.push(error),
            None => {}
        }
    }
}

/// Waits for the first attempt to end, and removes it.
async fn first<F: Future>(running: &mut Vec<Pin<Box<F>>>) -> F::Output {
    poll_fn(|cx| {
        for at in 0..running.len() {
            if let Poll::Ready(output) = running[at].as_mut().poll(cx) {
                drop(running.remove(at));
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    })
    .await
}

/// Alternates the address families, beginning with that of the first address, so that a family that
/// does not work costs one attempt and not one for each of its addresses.
pub(super) fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let starts_with_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (ours, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == starts_with_v4);
    let (mut ours, mut others) = (ours.into_iter(), others.into_iter());
    let mut mixed = Vec::with_capacity(ours.len() + others.len());
    while ours.len() + others.len() > 0 {
        mixed.extend(ours.next());
        mixed.extend(others.next());
    }
    mixed
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::{Instant, sleep};

    use super::*;

    const PACE: Duration = Duration::from_millis(250);

    /// How long an attempt takes in milliseconds, and how it ends.
    type Fate = (u64, Result<&'static str, &'static str>);
    const NEVER: u64 = 1_000_000;

    /// Returns the result of a race, the milliseconds that it took, and those after which attempts
    /// began.
    async fn run(fates: &[Fate]) -> (Result<&'static str, Vec<&'static str>>, u64, Vec<u64>) {
        let start = Instant::now();
        let since = || u64::try_from(start.elapsed().as_millis()).unwrap();
        let begun = Mutex::new(Vec::new());
        let result = race(fates.iter().copied(), PACE, |(after, fate)| {
            begun.lock().unwrap().push(since());
            async move {
                sleep(Duration::from_millis(after)).await;
                fate
            }
        });
        let result = result.await;
        (result, since(), begun.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_answers_at_once_is_the_only_one_tried() {
        let won = run(&[(20, Ok("first")), (0, Ok("second"))]).await;
        assert_eq!(won, (Ok("first"), 20, vec![0]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_begins_beside_one_that_is_silent() {
        let won = run(&[(NEVER, Ok("first")), (30, Ok("second")), (0, Ok("third"))]).await;
        assert_eq!(won, (Ok("second"), 280, vec![0, 250]));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_slow_may_still_win() {
        let won = run(&[(300, Ok("first")), (NEVER, Ok("second"))]).await;
        assert_eq!(won, (Ok("first"), 300, vec![0, 250]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_begins_at_once_when_one_fails() {
        let won = run(&[(10, Err("refused")), (NEVER, Ok("second")), (5, Ok("third"))]).await;
        assert_eq!(won, (Ok("third"), 265, vec![0, 10, 260]));
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_each_error_is_given_in_the_order_in_which_they_came() {
        let lost = run(&[(600, Err("slow")), (10, Err("refused")), (20, Err("no route"))]).await;
        assert_eq!(lost, (Err(vec!["refused", "no route", "slow"]), 600, vec![0, 250, 260]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_race_of_none_ends_without_an_error() {
        assert_eq!(run(&[]).await, (Err(vec![]), 0, vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_losers_are_dropped_when_one_has_won() {
        struct Flag<'a>(&'a Mutex<u32>);
        impl Drop for Flag<'_> {
            fn drop(&mut self) {
                *self.0.lock().unwrap() += 1;
            }
        }
        let dropped = Mutex::new(0);
        let won = race([NEVER, NEVER, 1], PACE, |after| {
            let flag = Flag(&dropped);
            async move {
                sleep(Duration::from_millis(after)).await;
                Ok::<_, ()>(flag)
            }
        });
        let won = won.await.unwrap_or_else(|_| unreachable!());
        assert_eq!(*dropped.lock().unwrap(), 2);
        drop(won);
    }

    fn addresses(of: &[&str]) -> Vec<SocketAddr> {
        of.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_the_first_keeps_its_place() {
        for (given, mixed) in [
            (
                &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"][..],
                &["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"][..],
            ),
            (&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"], &["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]),
            (&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"], &["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]),
            (&["1.1.1.1:1"], &["1.1.1.1:1"]),
            (&[], &[]),
        ] {
            assert_eq!(interleaved(addresses(given)), addresses(mixed));
        }
    }
}
