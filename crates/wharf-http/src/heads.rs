//! Reads the heads of HTTP/2's frames, for what hyper neither reports nor limits.

use std::error::Error;
use std::{fmt, io};

use super::interim::MAX_INTERIM;

/// The bytes of a frame's head: length, kind, flags, stream.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
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
    /// How many heads of responses each stream has had that has not ended: all but one are interim
    /// ones.
    responses: Vec<(u32, usize)>,
}

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unacceptable {
    /// What came first is no frame that HTTP/2 begins with.
    NoHttp2,
    /// More interim responses than a stream may have.
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
        let [high, middle, low, kind, flags, stream @ ..] = self.head;
        self.payload = u32::from_be_bytes([0, high, middle, low]) as usize;
        if !self.has_begun && kind != SETTINGS {
            return Err(Unacceptable::NoHttp2);
        }
        self.has_begun = true;
        let stream = u32::from_be_bytes(stream);
        match kind {
            DATA | HEADERS if flags & END_STREAM != 0 => self.forget(stream),
            RST_STREAM => self.forget(stream),
            HEADERS if self.count(stream, streams) > MAX_INTERIM + 1 => {
                return Err(Unacceptable::Interim);
            }
            _ => {}
        }
        Ok(())
    }

    /// Counts a head, and returns how many the stream has had.
    fn count(&mut self, stream: u32, streams: usize) -> usize {
        if let Some((_, heads)) = self.responses.iter_mut().rfind(|(of, _)| *of == stream) {
            *heads += 1;
            return *heads;
        }
        // Most are of streams that this side has reset, and whose end was therefore not told.
        if self.responses.len() >= 2 * (streams + 32) {
            self.responses.clear();
        }
        self.responses.push((stream, 1));
        1
    }

    fn forget(&mut self, stream: u32) {
        if let Some(at) = self.responses.iter().rposition(|(of, _)| *of == stream) {
            self.responses.swap_remove(at);
        }
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

    fn of(stream: u8, mut frame: Vec<u8>) -> Vec<u8> {
        frame[HEAD - 1] = stream;
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
            heads.look_at(&frame(SETTINGS, 0, 0), 1).unwrap();
            for _ in 0..9 {
                for stream in 0..streams {
                    assert_eq!(heads.look_at(&of(stream, frame(HEADERS, 4, 1)), 1), Ok(()));
                }
            }
            let next = heads.look_at(&of(0, frame(HEADERS, 4, 1)), 1);
            assert_eq!(next, Err(Unacceptable::Interim));
        }
    }

    #[test]
    fn nothing_is_kept_of_streams_that_have_ended() {
        let mut heads = Heads::default();
        heads.look_at(&frame(SETTINGS, 0, 0), 1).unwrap();
        for stream in 0..100 {
            heads.look_at(&of(stream, frame(HEADERS, 4, 1)), 100).unwrap();
        }
        for stream in 0..100 {
            let end = [frame(DATA, 1, 0), frame(HEADERS, 5, 1), frame(RST_STREAM, 0, 4)];
            heads.look_at(&of(stream, end[usize::from(stream) % 3].clone()), 100).unwrap();
        }
        assert_eq!(heads.responses.len(), 0);
        for stream in 0..=u8::MAX {
            heads.look_at(&of(stream, frame(HEADERS, 4, 1)), 1).unwrap();
        }
        assert!(heads.responses.len() <= 66, "those that this side has reset");
    }

    #[test]
    fn an_answer_that_does_not_begin_with_settings_is_not_http2() {
        for other in [&b"HTTP/1.1 400 Bad Request"[..], &frame(DATA, 0, 0)] {
            assert_eq!(Heads::default().look_at(other, 0), Err(Unacceptable::NoHttp2));
        }
    }
}
