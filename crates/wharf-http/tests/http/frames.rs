//! An HTTP/2 peer that says what a test wants it to say, frame by frame.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;

pub(crate) const END_STREAM: u8 = 1;
const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

pub(crate) struct Peer(TcpStream);

impl Peer {
    /// Reads the client's preface, and tells how many streams it may open.
    pub(crate) async fn greet(mut stream: TcpStream, max_streams: Option<u32>) -> Option<Self> {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.ok()?;
        assert!(preface.starts_with(b"PRI * HTTP/2.0"));
        let mut peer = Peer(stream);
        let mut settings = Vec::new();
        if let Some(max) = max_streams {
            settings.extend(3_u16.to_be_bytes());
            settings.extend(max.to_be_bytes());
        }
        peer.write(SETTINGS, 0, 0, &settings).await?;
        Some(peer)
    }

    pub(crate) async fn write(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> Option<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await.ok()
    }

    /// The next frame of a stream; settings are acknowledged, the rest is passed over. None at the end.
    pub(crate) async fn read(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let frame = Frame { kind: head[3], flags: head[4], stream };
            if frame.kind == SETTINGS && frame.flags & ACK == 0 {
                self.write(SETTINGS, ACK, 0, &[]).await?;
            } else if [DATA, HEADERS, RST_STREAM].contains(&frame.kind) {
                return Some(frame);
            }
        }
    }

    /// The stream of the next request that is complete.
    pub(crate) async fn request(&mut self) -> Option<u32> {
        loop {
            let frame = self.read().await?;
            if frame.flags & END_STREAM != 0 && frame.kind != RST_STREAM {
                return Some(frame.stream);
            }
        }
    }

    /// Answers with a status of 200 and no body.
    pub(crate) async fn answer(&mut self, stream: u32) -> Option<()> {
        self.write(HEADERS, END_STREAM | END_HEADERS, stream, &[0x88]).await
    }

    /// Goes away after that stream.
    pub(crate) async fn go_away(&mut self, last: u32) -> Option<()> {
        let mut payload = last.to_be_bytes().to_vec();
        payload.extend(0_u32.to_be_bytes());
        self.write(GOAWAY, 0, 0, &payload).await
    }

    pub(crate) async fn refuse(&mut self, stream: u32) -> Option<()> {
        self.write(RST_STREAM, 0, stream, &7_u32.to_be_bytes()).await
    }
}
