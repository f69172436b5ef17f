//! Reads along in the frames of an HTTP/2 peer.
//!
//! Neither tonic nor hyper tells of what matters to a pool: that the peer takes no more calls
//! (GOAWAY), and how many it takes at once (SETTINGS). Both are plain in what it sends. This reader
//! looks at the heads of the frames and at those two kinds, and skips everything else unread. It
//! judges nothing: what the protocol forbids makes the HTTP/2 stack itself end the connection.

/// Tells frames apart in bytes that come in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The head of a frame or a setting, as far as it has come.
    held: [u8; HEAD],
    have: usize,
    /// Bytes of a payload that nobody reads.
    skip: usize,
    /// Settings that are still to come in this frame.
    settings: usize,
    max_streams: Option<u32>,
}

/// What the peer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// It takes no new calls. It says so once more, or ends the connection, when the calls that run
    /// have ended.
    GoAway,
    /// Its settings, and the calls that it takes at once if they say so.
    Settings { max_streams: Option<u32> },
}

const HEAD: usize = 9;
const SETTING: usize = 6;

const SETTINGS_FRAME: u8 = 4;
const GO_AWAY_FRAME: u8 = 7;
const ACK: u8 = 1;
const MAX_CONCURRENT_STREAMS: u16 = 3;

impl Frames {
    /// Reads on until there is something to tell, or nothing left.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Notice> {
        loop {
            self.skip -= take(bytes, self.skip).len();
            let wanted = if self.settings > 0 { SETTING } else { HEAD };
            let more = take(bytes, wanted - self.have);
            self.held[self.have..][..more.len()].copy_from_slice(more);
            self.have += more.len();
            if self.have < wanted {
                return None;
            }
            self.have = 0;
            let notice = if wanted == SETTING { self.setting() } else { self.head() };
            if notice.is_some() {
                return notice;
            }
        }
    }

    fn head(&mut self) -> Option<Notice> {
        let [a, b, c, kind, flags, ..] = self.held;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if kind == SETTINGS_FRAME && flags & ACK == 0 {
            self.settings = length / SETTING;
            return self.settings_end();
        }
        self.skip = length;
        (kind == GO_AWAY_FRAME).then_some(Notice::GoAway)
    }

    fn setting(&mut self) -> Option<Notice> {
        let [a, b, value @ .., _, _, _] = self.held;
        if u16::from_be_bytes([a, b]) == MAX_CONCURRENT_STREAMS {
            self.max_streams = Some(u32::from_be_bytes(value));
        }
        self.settings -= 1;
        self.settings_end()
    }

    fn settings_end(&mut self) -> Option<Notice> {
        (self.settings == 0).then(|| Notice::Settings { max_streams: self.max_streams.take() })
    }
}

/// Takes up to `n` bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (front, rest) = bytes.split_at(n.min(bytes.len()));
    *bytes = rest;
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, 0];
        [&head, payload].concat()
    }

    fn setting(id: u16, value: u32) -> Vec<u8> {
        [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
    }

    /// What is noticed of bytes that come so many at a time.
    fn notices(bytes: &[u8], at_a_time: usize) -> Vec<Notice> {
        let mut frames = Frames::default();
        let mut notices = Vec::new();
        for mut piece in bytes.chunks(at_a_time) {
            notices.extend(std::iter::from_fn(|| frames.next(&mut piece)));
            assert!(piece.is_empty());
        }
        notices
    }

    #[test]
    fn the_same_is_noticed_however_the_bytes_are_split() {
        let bytes = [
            frame(4, 0, &[setting(4, 65_535), setting(3, 3), setting(5, 16_384)].concat()),
            frame(4, ACK, &[]),
            // Payloads full of what would be a GOAWAY if it were read as a head.
            frame(0, 0, &[7; 1000]),
            frame(1, 4, &[7; 31]),
            frame(4, 0, &[]),
            frame(6, 0, &[7; 8]),
            frame(4, 0, &setting(3, 1)),
            frame(7, 0, &[7; 8]),
            frame(7, 0, &[7; 80]),
        ]
        .concat();
        let expected = [
            Notice::Settings { max_streams: Some(3) },
            Notice::Settings { max_streams: None },
            Notice::Settings { max_streams: Some(1) },
            Notice::GoAway,
            Notice::GoAway,
        ];
        for at_a_time in 1..=bytes.len() {
            assert_eq!(notices(&bytes, at_a_time), expected, "{at_a_time} at a time");
        }
    }

    #[test]
    fn an_acknowledgement_of_settings_is_no_settings() {
        assert_eq!(notices(&frame(4, ACK, &[]), 100), []);
    }

    #[test]
    fn a_go_away_is_noticed_before_its_reason_has_come() {
        let bytes = frame(7, 0, &[0; 8]);
        assert_eq!(notices(&bytes[..HEAD], 1), [Notice::GoAway]);
        assert_eq!(notices(&bytes[..HEAD - 1], 1), []);
    }

    #[test]
    fn bytes_of_another_protocol_do_no_harm() {
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(100_000).collect();
        let whole = notices(&noise, noise.len());
        assert_eq!(notices(&noise, 7), whole);
        notices(b"HTTP/1.1 400 Bad Request\r\n\r\n", 5);
    }
}
