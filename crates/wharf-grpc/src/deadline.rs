//! The deadline of a call.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::{Sleep, sleep};
use tonic::Status;

/// The time at which a call fails, from its start to its last message. `None` for no deadline.
pub(super) struct Deadline(Option<Pin<Box<Sleep>>>);

const HEADER: &str = "grpc-timeout";

impl Deadline {
    /// Takes the earlier of the call's own timeout and this limit, counted from now.
    ///
    /// # Errors
    ///
    /// A timeout that is not in gRPC's format.
    pub(super) fn of(headers: &HeaderMap, limit: Option<Duration>) -> Result<Self, Status> {
        let own = match headers.get(HEADER) {
            None => None,
            Some(value) => Some(parse(value.as_bytes()).ok_or_else(|| {
                Status::invalid_argument(format!("{HEADER} is {value:?}: it is not a timeout"))
            })?),
        };
        let time = own.into_iter().chain(limit).min();
        Ok(Deadline(time.map(|time| Box::pin(sleep(time)))))
    }

    /// Waits for the future, and fails when the deadline passes first.
    pub(super) async fn bound<T>(
        &mut self,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Pending => self.poll(cx).map(Err),
            done @ Poll::Ready(_) => done,
        })
        .await
    }

    /// Ready with the status to report when the deadline has passed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let Some(sleep) = &mut self.0 else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Status::deadline_exceeded("the call has taken longer than its deadline"))
    }
}

/// Up to eight digits and a unit.
fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n = digits.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(n * 60 * 60),
        b'M' => Duration::from_secs(n * 60),
        b'S' => Duration::from_secs(n),
        b'm' => Duration::from_millis(n),
        b'u' => Duration::from_micros(n),
        b'n' => Duration::from_nanos(n),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_up_to_eight_digits_and_a_unit() {
        for (written, time) in [
            ("2H", Duration::from_secs(7200)),
            ("3M", Duration::from_secs(180)),
            ("99999999S", Duration::from_secs(99_999_999)),
            ("500m", Duration::from_millis(500)),
            ("7u", Duration::from_micros(7)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(parse(written.as_bytes()), Some(time), "{written}");
        }
        for written in ["", "S", "5", "5s", "+5S", "-1S", "1.5S", "100000000S"] {
            assert_eq!(parse(written.as_bytes()), None, "{written}");
        }
    }
}
