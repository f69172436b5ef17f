//! An HTTP/2 peer that says what a test wants, frame by frame.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::server::within_a_minute;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
const GO_AWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) struct RawPeer(TcpListener);

impl RawPeer {
    pub(crate) async fn start() -> RawPeer {
        RawPeer(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Accepts a client that speaks HTTP/2, and says nothing yet.
    pub(crate) async fn accept(&self) -> RawConnection {
        let (mut stream, _) = within_a_minute(self.0.accept()).await.unwrap();
        let mut preface = [0; PREFACE.len()];
        stream.read_exact(&mut preface).await.unwrap();
        assert_eq!(preface, PREFACE);
        RawConnection(stream)
    }
}

pub(crate) struct RawConnection(TcpStream);

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
}

impl RawConnection {
    /// The next frame. `None` at the end.
    pub(crate) async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, _, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind, stream: u32::from_be_bytes(stream) })
    }

    pub(crate) async fn read_until(&mut self, kind: u8) -> Frame {
        within_a_minute(async {
            loop {
                let frame = self.read().await.expect("the client goes on");
                if frame.kind == kind {
                    return frame;
                }
            }
        })
        .await
    }

    pub(crate) async fn settings(&mut self, max_concurrent_streams: Option<u32>) {
        let setting = max_concurrent_streams.map(|max| [&[0, 3], &max.to_be_bytes()[..]].concat());
        self.send(SETTINGS, 0, 0, &setting.unwrap_or_default()).await;
    }

    /// Takes no message on any stream.
    pub(crate) async fn settings_without_window(&mut self) {
        self.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
    }

    /// Sends the head of an answer.
    pub(crate) async fn head(&mut self, stream: u32) {
        // `:status: 200`, and the content type by the name that HPACK has for it.
        let head = b"\x88\x5f\x10application/grpc";
        self.send(HEADERS, END_HEADERS, stream, head).await;
    }

    pub(crate) async fn go_away(&mut self, last_stream: u32) {
        self.send(GO_AWAY, 0, 0, &[last_stream.to_be_bytes(), [0; 4]].concat()).await;
    }

    pub(crate) async fn reset(&mut self, stream: u32, reason: u32) {
        self.send(RST_STREAM, 0, stream, &reason.to_be_bytes()).await;
    }

    /// Ends with a reset of the connection.
    pub(crate) fn cut(self) {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// The message that the server serves.
    pub(crate) async fn message(&mut self, stream: u32) {
        self.send(DATA, 0, stream, &[0, 0, 0, 0, 2, 8, 1]).await;
    }

    /// The end of an answer, and that all went well.
    pub(crate) async fn trailers(&mut self, stream: u32) {
        let status = [&[0, 11][..], b"grpc-status", &[1], b"0"].concat();
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &status).await;
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let [_, a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&[a, b, c, kind, flags], &stream.to_be_bytes()[..]].concat();
        self.0.write_all(&[&head, payload].concat()).await.unwrap();
    }
}
