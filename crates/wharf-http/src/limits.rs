//! What a client allows: time, and the size of responses' heads.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderMap;
use hyper::client::conn::http1;
use wharf::BuildError;

/// The limits of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) head: HeadLimits,
    pub(super) time: TimeLimits,
}

/// The time limits of a client.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TimeLimits {
    /// From the end of the request to the head of its response.
    pub(super) head: Option<Duration>,
    /// From the call to the end of the response.
    pub(super) whole: Option<Duration>,
}

impl TimeLimits {
    pub(super) fn check(&self) -> Result<(), BuildError> {
        for (field, limit) in [("response_header_timeout", self.head), ("timeout", self.whole)] {
            if limit.is_some_and(|limit| limit.is_zero()) {
                let reason = "must be longer than zero; `None` means no limit";
                return Err(BuildError::new(field, "0s", reason));
            }
        }
        Ok(())
    }
}

/// The limits of a response's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLimits {
    pub(super) bytes: u32,
    /// HTTP/1.1 only.
    pub(super) headers: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits { bytes: 256 * 1024, headers: 256 }
    }
}

/// The smallest and the largest limit of bytes.
const BYTES: RangeInclusive<u32> = 8 * 1024..=16 * 1024 * 1024;

/// How much more of a head of HTTP/2 is received than a caller is given: one that is too large ends its
/// own request only.
const ROOM: u32 = 4;

/// The most headers for which room is made for each response.
const MOST_HEADERS: usize = 10_000;

/// The size of hyper's buffer, unless a head needs more.
const BUFFER: usize = 400 * 1024;

/// What HTTP/2 adds to the name and the value of a field.
const OF_FIELD: usize = 32;

impl HeadLimits {
    pub(super) fn check(self) -> Result<(), BuildError> {
        if !BYTES.contains(&self.bytes) {
            let reason = format!("must be from {} to {} bytes", BYTES.start(), BYTES.end());
            return Err(BuildError::new("max_response_head", self.bytes, reason));
        }
        if !(1..=MOST_HEADERS).contains(&self.headers) {
            let reason = format!("must be from 1 to {MOST_HEADERS}");
            return Err(BuildError::new("http1_max_headers", self.headers, reason));
        }
        Ok(())
    }

    /// Returns how many bytes of a head of HTTP/2 are received.
    pub(super) fn received(self) -> u32 {
        self.bytes * ROOM
    }

    pub(super) fn of_http1(self, builder: &mut http1::Builder) -> &http1::Builder {
        let bytes = self.bytes as usize;
        builder.max_buf_size(bytes.max(BUFFER));
        builder.max_headers(self.headers).max_header_size(bytes)
    }

    /// Returns whether a head of HTTP/2 is too large. More of it is received than that.
    pub(super) fn is_exceeded_by(self, headers: &HeaderMap) -> bool {
        let size = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            name.as_str().len() + value.len() + OF_FIELD
        };
        headers.iter().map(size).sum::<usize>() > self.bytes as usize
    }
}
