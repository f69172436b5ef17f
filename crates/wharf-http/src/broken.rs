//! Tells failures of a connection from what is over as it should be.

use std::io;

use super::retry::cause;

/// Returns whether this error of an exchange, or of the connection's driver, means that the
/// connection has failed: it was reset, its peer broke the protocol or fell silent, or it ended in
/// the middle of an exchange.
///
/// Not meant are errors of the request itself, an exchange that was not begun, a stream that was
/// reset while its connection goes on, and a GOAWAY with `NO_ERROR`.
pub(super) fn is_failure(error: &hyper::Error) -> bool {
    if error.is_user() || error.is_canceled() {
        return false;
    }
    if let Some(error) = cause::<h2::Error>(error) {
        return error.is_io() || is_rude(error);
    }
    error.is_incomplete_message()
        || error.is_parse()
        || error.is_timeout()
        || cause::<io::Error>(error).is_some()
}

/// Returns whether either side ended the connection because of an error.
fn is_rude(error: &h2::Error) -> bool {
    error.is_go_away() && error.reason() != Some(h2::Reason::NO_ERROR)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::Request;
    use http_body_util::{BodyExt, Full};
    use socket2::SockRef;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::{JoinHandle, yield_now};
    use tokio::time::{self, Instant};

    use wharf::Connector;
    use wharf::tcp::TcpTransport;

    use crate::dial::Dialer;
    use crate::http2::Http2Options;
    use crate::limits::HeadLimits;
    use crate::tls_or_none::Tls;
    use crate::{Client, HttpConnection, HttpConnector, Protocol};

    /// An idle connection of a client, and its peer, which a test plays.
    struct Stage {
        client: Client,
        url: String,
        connection: HttpConnection,
        connector: HttpConnector,
        /// `None` once it has gone.
        peer: Option<TcpStream>,
    }

    impl Stage {
        async fn of(protocol: Protocol) -> Stage {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            let client = Client::builder().protocol(protocol).build().unwrap();
            let origin = url.parse().unwrap();
            let (lease, peer) = tokio::join!(client.pool().acquire(&origin), listener.accept());
            let connection = HttpConnection::clone(&lease.unwrap());
            let transport = std::sync::Arc::new(TcpTransport::new());
            let dialer = Dialer { transport, tls: Tls::default() };
            let connector = HttpConnector {
                dialer,
                protocol,
                http2: Http2Options::default(),
                head: HeadLimits::default(),
                max_streams: 100,
            };
            Stage { client, url, connection, connector, peer: Some(peer.unwrap().0) }
        }

        /// Sends a request that is sent once only. The task returns whether its response came whole.
        fn ask(&self) -> JoinHandle<bool> {
            let request = Request::post(&self.url).body(Full::<Bytes>::from("a body")).unwrap();
            let response = self.client.request(request);
            tokio::spawn(async move {
                let Ok(response) = response.await else { return false };
                response.into_body().collect().await.is_ok()
            })
        }

        /// Returns when the peer has read this.
        async fn hear(&mut self, end: &[u8]) {
            let (peer, mut read) = (self.peer.as_mut().unwrap(), Vec::new());
            while !read.ends_with(end) {
                assert!(peer.read_buf(&mut read).await.unwrap() > 0);
            }
        }

        /// Sends a request which the peer has read.
        async fn asked(&mut self) -> JoinHandle<bool> {
            let asked = self.ask();
            self.hear(b"a body").await;
            asked
        }

        async fn say(&mut self, bytes: &[u8]) {
            self.peer.as_mut().unwrap().write_all(bytes).await.unwrap();
        }

        fn reset(&mut self) {
            let peer = self.peer.take().unwrap();
            SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        }

        fn last_heard(&self) -> Instant {
            self.connector.last_heard(&self.connection).unwrap()
        }

        /// Returns whether the connection has failed, once it is not open.
        async fn has_failed(&mut self) -> bool {
            while self.connector.is_open(&mut self.connection) {
                yield_now().await;
            }
            self.connector.has_failed(&mut self.connection)
        }
    }

    #[tokio::test]
    async fn an_http1_peer_is_heard_when_it_answers_and_not_while_it_is_silent() {
        let mut stage = Stage::of(Protocol::Http1).await;
        let dialed = stage.last_heard();
        let asked = stage.asked().await;
        assert_eq!(stage.last_heard(), dialed, "it has only been asked");
        stage.say(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        assert!(asked.await.unwrap());
        assert!(stage.last_heard() > dialed);
    }

    #[tokio::test]
    async fn an_http2_peer_is_heard_when_it_greets_and_not_while_it_is_silent() {
        let mut stage = Stage::of(Protocol::Http2).await;
        let dialed = stage.last_heard();
        let mut preface = [0; 24];
        stage.peer.as_mut().unwrap().read_exact(&mut preface).await.unwrap();
        assert_eq!(stage.last_heard(), dialed, "it has only been greeted");
        stage.say(&SETTINGS).await;
        while stage.last_heard() == dialed {
            yield_now().await;
        }
        assert!(stage.last_heard() > dialed);
    }

    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

    #[tokio::test]
    async fn a_connection_that_is_reset_in_an_exchange_has_failed() {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut stage = Stage::of(protocol).await;
            if protocol == Protocol::Http2 {
                stage.say(&SETTINGS).await;
            }
            let asked = stage.asked().await;
            stage.reset();
            assert!(!asked.await.unwrap());
            assert!(stage.has_failed().await, "{protocol:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_in_the_middle_of_an_answer_has_failed() {
        let mut stage = Stage::of(Protocol::Http1).await;
        let asked = stage.asked().await;
        stage.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
        stage.peer = None;
        assert!(!asked.await.unwrap());
        assert!(stage.has_failed().await);
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_after_its_answer_has_not_failed() {
        let mut stage = Stage::of(Protocol::Http1).await;
        let asked = stage.asked().await;
        stage.say(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
        assert!(asked.await.unwrap());
        assert!(!stage.has_failed().await);
    }

    #[tokio::test]
    async fn an_idle_connection_whose_peer_closes_it_has_not_failed() {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut stage = Stage::of(protocol).await;
            if protocol == Protocol::Http2 {
                stage.say(&SETTINGS).await;
                // What it answers to the settings is read, or the close would be a reset.
                stage.hear(&[0, 0, 0, 4, 1, 0, 0, 0, 0]).await;
            }
            stage.peer = None;
            assert!(!stage.has_failed().await, "{protocol:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_whose_peer_goes_away_after_its_answer_has_not_failed() {
        let mut stage = Stage::of(Protocol::Http2).await;
        stage.say(&SETTINGS).await;
        let asked = stage.asked().await;
        // The response to the first stream has a status of 200 and no body.
        stage.say(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]).await;
        stage.say(&[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88]).await;
        assert!(asked.await.unwrap());
        assert!(!stage.has_failed().await);
    }

    #[tokio::test]
    async fn a_connection_whose_peer_says_that_the_protocol_was_broken_has_failed() {
        let mut stage = Stage::of(Protocol::Http2).await;
        stage.say(&SETTINGS).await;
        let asked = stage.asked().await;
        // It did not process the first stream either.
        stage.say(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).await;
        let told = async {
            while !stage.connector.has_failed(&mut stage.connection) {
                yield_now().await;
            }
        };
        time::timeout(Duration::from_secs(60), told).await.unwrap();
        // It is sent again, to nobody.
        asked.abort();
        assert!(stage.has_failed().await);
    }

    #[tokio::test]
    async fn a_connection_whose_caller_gives_up_has_not_failed() {
        let mut stage = Stage::of(Protocol::Http1).await;
        let asked = stage.asked().await;
        asked.abort();
        asked.await.unwrap_err();
        assert!(!stage.has_failed().await);
    }
}
