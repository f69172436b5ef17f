//! Reads the heads of HTTP/2's frames, for what hyper neither reports nor limits.

use std::error::Error;
use std::{fmt, io};

use super::interim::MAX_INTERIM;

/// The bytes of a frame's head: length, kind, flags, stream.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;

/// Follows the frames that a peer sends.
#[derive(Default)]
pub(super) struct Heads {
    /// The bytes of a head that has come in part.
    head: [u8; HEAD],
    len: usize,
    /// The bytes of a payload that are still to come.
    payload: usize,
    has_begun: bool,
    /// The heads of responses since the last piece of a body or end of a stream. All but one for
    /// each stream are interim ones.
    in_a_row: usize,
}

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unacceptable {
    /// What came first is no frame that HTTP/2 begins with.
    NoHttp2,
    /// More interim responses than the streams may have.
    Interim,
}

impl Heads {
    /// Returns whether the peer has begun to speak HTTP/2.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Looks at what was read from a peer that has this many streams.
    pub(super) fn look_at(&mut self, mut bytes: &[u8], streams: usize) -> Result<(), Unacceptable> {
        while !bytes.is_empty() {
            let skipped = self.payload.min(bytes.len());
            self.payload -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEAD - self.len).min(bytes.len());
            self.head[self.len..self.len + taken].copy_from_slice(&bytes[..taken]);
            self.len += taken;
            bytes = &bytes[taken..];
            if self.len == HEAD {
                self.len = 0;
                self.take(streams)?;
            }
        }
        Ok(())
    }

    /// Takes a head that has come in full.
    fn take(&mut self, streams: usize) -> Result<(), Unacceptable> {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.payload = u32::from_be_bytes([0, high, middle, low]) as usize;
        if !self.has_begun && kind != SETTINGS {
            return Err(Unacceptable::NoHttp2);
        }
        self.has_begun = true;
        match kind {
            DATA => self.in_a_row = 0,
            HEADERS if flags & END_STREAM != 0 => self.in_a_row = 0,
            HEADERS => self.in_a_row += 1,
            _ => {}
        }
        let is_too_many = self.in_a_row > (MAX_INTERIM + 1) * (streams + 1);
        if is_too_many { Err(Unacceptable::Interim) } else { Ok(()) }
    }
}

impl fmt::Display for Unacceptable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unacceptable::NoHttp2 => "the server does not speak HTTP/2 on this port",
            Unacceptable::Interim => "the server sent too many interim responses",
        })
    }
}

impl Error for Unacceptable {}

impl From<Unacceptable> for io::Error {
    fn from(reason: Unacceptable) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD + usize::from(length), 0xff);
        frame
    }

    #[test]
    fn frames_are_followed_however_they_are_cut() {
        let mut bytes = frame(SETTINGS, 0, 6);
        for _ in 0..40 {
            for (kind, flags, length) in [(HEADERS, 4, 7), (8, 0, 4), (DATA, 0, 200), (3, 0, 0)] {
                bytes.extend(frame(kind, flags, length));
            }
        }
        for size in 1..bytes.len() {
            let mut heads = Heads::default();
            for piece in bytes.chunks(size) {
                assert_eq!(heads.look_at(piece, 1), Ok(()), "in pieces of {size}");
            }
            assert!(heads.has_begun() && heads.len == 0 && heads.payload == 0, "{size}");
        }
    }

    #[test]
    fn each_stream_may_have_eight_interim_responses() {
        for streams in [1, 10] {
            let mut heads = Heads::default();
            heads.look_at(&frame(SETTINGS, 0, 0), streams).unwrap();
            for _ in 0..9 * (streams + 1) {
                assert_eq!(heads.look_at(&frame(HEADERS, 4, 1), streams), Ok(()));
            }
            let next = heads.look_at(&frame(HEADERS, 4, 1), streams);
            assert_eq!(next, Err(Unacceptable::Interim));
        }
    }

    #[test]
    fn what_begins_with_something_else_is_no_http2() {
        for other in [&b"HTTP/1.1 400 Bad Request"[..], &frame(DATA, 0, 0)] {
            assert_eq!(Heads::default().look_at(other, 0), Err(Unacceptable::NoHttp2));
        }
    }
}
