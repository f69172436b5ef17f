//! The driver on an in-memory pipe with paused time. The server's end is tungstenite or raw bytes.

mod warnings;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Bytes, Message, http::Response};

use super::channel::Channel;
use super::driver::Driver;
use super::meter::Meter;
use super::{Error, WebSocketConnection, WebSocketHeartbeat};
use warnings::Warnings;
use wharf::connector::Signs;

type Server = WebSocketStream<DuplexStream>;

const SECOND: Duration = Duration::from_secs(1);
const MAX_UNREAD: usize = 4;

/// A connection, and the bare end of its pipe, which holds this many bytes.
async fn bare(
    heartbeat: impl Into<Option<WebSocketHeartbeat>>,
    room: usize,
) -> (WebSocketConnection, DuplexStream) {
    let (client, server) = duplex(room);
    let socket = WebSocketStream::from_raw_socket(Meter::new(client), Role::Client, None).await;
    let channel = Arc::new(Channel::new(MAX_UNREAD));
    let driver =
        Driver::new(socket, channel.clone(), "ws://test", heartbeat.into(), Arc::default());
    tokio::spawn(driver.run());
    (WebSocketConnection::new(channel, Signs::new(), None, Response::new(None)), server)
}

async fn pair(heartbeat: impl Into<Option<WebSocketHeartbeat>>) -> (WebSocketConnection, Server) {
    let (connection, server) = bare(heartbeat, 64 * 1024).await;
    (connection, WebSocketStream::from_raw_socket(server, Role::Server, None).await)
}

/// A heartbeat every 30 seconds, a time-out of 10, and death after 3.
fn defaults() -> WebSocketHeartbeat {
    WebSocketHeartbeat::default()
}

fn counts(connection: &WebSocketConnection) -> (u64, u64, u32) {
    let status = connection.heartbeat();
    (status.beats, status.missed, status.missed_in_a_row)
}

/// Lets the other tasks run until they have nothing left to do.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(600 * SECOND, future).await.expect("this should not hang")
}

async fn is_ready(mut future: impl Future + Unpin) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx).is_ready())).await
}

fn ping_number(message: Message) -> u64 {
    let Message::Ping(payload) = message else { panic!("{message:?} is no ping") };
    u64::from_be_bytes(payload[..].try_into().unwrap())
}

// Beats.

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_dead_after_the_last_beat_it_may_miss() {
    let (mut connection, _server) = pair(defaults()).await;
    let begun = Instant::now();

    let end = soon(connection.next()).await.unwrap().unwrap_err();

    assert!(matches!(end, Error::Silent { missed: 3 }), "{end}");
    assert_eq!(begun.elapsed().as_secs(), 100);
    assert_eq!(counts(&connection), (3, 3, 3));
    assert!(!connection.is_open());
    assert!(connection.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_lives_on() {
    let (connection, mut server) = pair(defaults()).await;
    let mut pings = Vec::new();
    let answering = async {
        while let Some(Ok(message)) = server.next().await {
            pings.push(ping_number(message));
        }
    };
    assert!(timeout(605 * SECOND, answering).await.is_err());

    assert_eq!(pings, (1..=20).collect::<Vec<_>>());
    assert_eq!(counts(&connection), (20, 0, 0));
    assert!(connection.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_late_pong_starts_the_count_again() {
    let (mut connection, mut server) = pair(defaults()).await;
    sleep(75 * SECOND).await;
    assert_eq!(counts(&connection), (2, 2, 2));

    // Both Pings are read now, and answered.
    for number in [1, 2] {
        assert_eq!(ping_number(server.next().await.unwrap().unwrap()), number);
    }
    assert!(!is_ready(server.next()).await);
    settle().await;
    assert_eq!(counts(&connection), (2, 2, 0));
    assert_eq!(connection.heartbeat().silent_for.as_secs(), 0);

    // It takes three more to die, not one.
    let end = soon(connection.next()).await.unwrap().unwrap_err();
    assert!(matches!(end, Error::Silent { missed: 3 }));
    assert_eq!(counts(&connection), (5, 5, 3));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_talks_is_not_pinged() {
    let (mut connection, mut server) = pair(defaults()).await;
    for _ in 0..30 {
        sleep(20 * SECOND).await;
        server.send(Message::text("news")).await.unwrap();
        assert!(connection.next().await.unwrap().is_ok());
    }
    assert_eq!(counts(&connection), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_byte_of_an_unfinished_frame_is_a_sign_of_life() {
    let (mut connection, mut server) = bare(defaults(), 1024).await;
    // A binary frame of 60 bytes.
    server.write_all(&[0x82, 60]).await.unwrap();
    for byte in 0..60 {
        sleep(25 * SECOND).await;
        server.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(connection.next().await.unwrap().unwrap().len(), 60);
    assert_eq!(counts(&connection), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_long_message_slowly_is_not_given_up() {
    let (mut connection, mut server) = bare(defaults(), 1024).await;
    let taking = async {
        let mut buffer = [0; 512];
        let mut taken = 0;
        while taken < 100_000 {
            sleep(4 * SECOND).await;
            taken += server.read(&mut buffer).await.unwrap();
        }
    };
    let sending = connection.send(Message::binary(vec![0; 100_000]));
    let (sent, ()) = timeout(7200 * SECOND, async { tokio::join!(sending, taking) }).await.unwrap();
    sent.unwrap();
    assert_eq!(connection.heartbeat().missed, 0);

    // Once the peer reads nothing any more, it is as dead as any other.
    let end = soon(connection.next()).await.unwrap().unwrap_err();
    assert!(matches!(end, Error::Silent { missed: 3 }));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_taking_a_message_is_given_up() {
    let (mut connection, _server) = bare(defaults(), 1024).await;
    let error = soon(connection.send(Message::binary(vec![0; 100_000]))).await.unwrap_err();
    assert!(matches!(error, Error::Silent { missed: 3 }));
}

#[tokio::test(start_paused = true)]
async fn without_a_heartbeat_a_silent_peer_is_waited_for() {
    let (connection, _server) = pair(None).await;
    sleep(24 * 3600 * SECOND).await;
    assert!(connection.is_open());
    assert_eq!(counts(&connection), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_of_any_length_can_be_set() {
    let heartbeat = WebSocketHeartbeat::every(Duration::MAX).timeout(Duration::MAX);
    let (connection, _server) = pair(heartbeat).await;
    sleep(24 * 3600 * SECOND).await;
    assert!(connection.is_open());
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_take_longer_than_the_time_between_beats() {
    let heartbeat = WebSocketHeartbeat::every(SECOND).timeout(10 * SECOND).max_missed(2);
    let (mut connection, mut server) = pair(heartbeat).await;
    for _ in 0..5 {
        sleep(9 * SECOND).await;
        ping_number(server.next().await.unwrap().unwrap());
        assert!(!is_ready(server.next()).await);
    }
    let answered = Instant::now();
    settle().await;
    assert_eq!(connection.heartbeat().missed, 0);
    soon(connection.next()).await.unwrap().unwrap_err();
    assert_eq!(answered.elapsed().as_secs(), 1 + 10 + 10);
}

// Holding back.

#[tokio::test(start_paused = true)]
async fn a_borrower_who_does_not_read_holds_the_peer_back_and_the_heart_rests() {
    let (mut connection, server) = bare(defaults(), 64).await;
    let mut server: Server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
    connection.send(Message::text("subscribe")).await.unwrap();
    let flood = tokio::spawn(async move {
        for n in 0..100 {
            server.send(Message::text(format!("message number {n}"))).await.unwrap();
        }
        server
    });
    sleep(3600 * SECOND).await;

    // The buffer is bounded, nothing is lost, and the peer is not taken for dead.
    assert_eq!(connection.unread(), MAX_UNREAD);
    assert!(!flood.is_finished());
    assert_eq!(counts(&connection), (0, 0, 0));
    assert!(matches!(soon(connection.ping()).await, Err(Error::Unread)));
    for n in 0..100 {
        let message = soon(connection.next()).await.unwrap().unwrap();
        assert_eq!(message.into_text().unwrap(), format!("message number {n}"));
    }

    // Then heartbeats are sent again.
    let _server = flood.await.unwrap();
    let end = soon(connection.next()).await.unwrap().unwrap_err();
    assert!(matches!(end, Error::Silent { missed: 3 }));
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_waits_is_told_when_unread_messages_get_in_its_way() {
    let (mut connection, server) = bare(None, 64).await;
    let mut server: Server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
    let flood = tokio::spawn(async move {
        settle().await;
        for _ in 0..100 {
            server.send(Message::text("some longer news")).await.unwrap();
        }
        server
    });
    let pinged = soon(connection.ping()).await;
    assert!(matches!(pinged, Err(Error::Unread)), "{pinged:?}");

    // Reading makes room, and nothing else has to wake the driver.
    for _ in 0..100 {
        soon(connection.next()).await.unwrap().unwrap();
    }
    flood.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_does_not_keep_a_connection_from_closing() {
    let (mut connection, server) = bare(None, 64).await;
    let mut server: Server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
    connection.send(Message::text("subscribe")).await.unwrap();
    let flood = tokio::spawn(async move {
        for _ in 0..100 {
            server.send(Message::text("some longer news")).await.unwrap();
        }
        while let Some(Ok(_)) = server.next().await {}
    });
    settle().await;
    assert_eq!(connection.unread(), MAX_UNREAD);
    soon(connection.close(None)).await;
    soon(flood).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sender_goes_on_as_soon_as_there_is_room_for_its_message() {
    let (mut connection, server) = bare(None, 64).await;
    let long = Message::binary(vec![7; 300_000]);
    for _ in 0..40 {
        assert!(timeout(SECOND, connection.send(long.clone())).await.is_err());
    }
    let mut server: Server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
    let feeding = tokio::spawn(async move {
        connection.feed(Message::text("last")).await.unwrap();
        connection
    });
    for _ in 0..2 {
        assert_eq!(soon(server.next()).await.unwrap().unwrap(), long);
        settle().await;
    }
    // Most of the messages before it are still to be written.
    assert!(feeding.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_sender_gave_up_arrives_whole_or_not_at_all() {
    let (mut connection, server) = bare(None, 64).await;
    let long = Message::binary(vec![7; 300_000]);
    for _ in 0..40 {
        assert!(timeout(SECOND, connection.send(long.clone())).await.is_err());
    }
    let mut server: Server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
    let last = tokio::spawn(async move {
        connection.send(Message::text("last")).await.unwrap();
        connection
    });
    let mut whole = 0;
    loop {
        let message = soon(server.next()).await.unwrap().unwrap();
        if message == Message::text("last") {
            break;
        }
        assert_eq!(message, long);
        whole += 1;
    }
    last.await.unwrap();
    // One in the socket, and as many as may wait for it.
    assert_eq!(whole, 17);
}

// Pings that are asked for.

#[tokio::test(start_paused = true)]
async fn a_ping_takes_as_long_as_its_pong() {
    let (mut connection, mut server) = pair(None).await;
    let answering = async {
        sleep(2 * SECOND).await;
        let first = ping_number(server.next().await.unwrap().unwrap());
        assert!(!is_ready(server.next()).await);
        first
    };
    let (pinged, number) = tokio::join!(connection.ping(), answering);
    assert_eq!((pinged.unwrap().as_secs(), number), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn only_its_own_pong_or_a_later_one_answers_a_ping() {
    let (mut connection, server) = bare(None, 1024).await;
    let mut server: Server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
    connection.send(Message::text("subscribe")).await.unwrap();
    // The first gives up; so the second is number 2.
    assert!(timeout(SECOND, connection.ping()).await.is_err());
    let pong = |number: u64| Message::Pong(Bytes::copy_from_slice(&number.to_be_bytes()));
    let mut ping = Box::pin(connection.ping());
    assert!(!is_ready(&mut ping).await);
    settle().await;
    for stray in [pong(1), pong(3), Message::Pong(Bytes::new()), Message::text("news")] {
        server.send(stray).await.unwrap();
        settle().await;
        assert!(!is_ready(&mut ping).await);
    }
    server.send(pong(2)).await.unwrap();
    assert_eq!(soon(ping).await.unwrap().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_ping_of_a_dead_connection_says_why_it_died() {
    let (mut connection, server) = pair(None).await;
    drop(server);
    let error = soon(connection.ping()).await.unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error}");
    let error = soon(connection.ping()).await.unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_ping_of_the_peer_is_answered_though_nobody_reads() {
    let (connection, mut server) = pair(None).await;
    server.send(Message::Ping(Bytes::from_static(b"there?"))).await.unwrap();
    let answer = soon(server.next()).await.unwrap().unwrap();
    assert_eq!(answer, Message::Pong(Bytes::from_static(b"there?")));
    assert_eq!(connection.unread(), 0);
}

// Ends.

#[tokio::test(start_paused = true)]
async fn close_sends_what_was_fed_then_the_close_frame_and_waits_for_the_peer() {
    let (mut connection, mut server) = pair(None).await;
    connection.feed(Message::text("one")).await.unwrap();
    connection.feed(Message::text("two")).await.unwrap();
    let mut closing = Box::pin(connection.close(None));
    assert!(!is_ready(&mut closing).await);
    // Messages that the peer sends from now on are discarded.
    server.send(Message::text("unheard")).await.unwrap();
    for word in ["one", "two"] {
        assert_eq!(soon(server.next()).await.unwrap().unwrap(), Message::text(word));
    }
    let Message::Close(Some(frame)) = soon(server.next()).await.unwrap().unwrap() else {
        panic!("no close frame")
    };
    assert_eq!(frame.code, CloseCode::Normal);
    // Only the answer to the close frame ends it.
    assert!(timeout(SECOND, &mut closing).await.is_err());
    assert!(soon(server.next()).await.is_none());
    soon(closing).await;
    assert!(matches!(connection.end(), Some(Error::Closed(_))));
    assert_eq!(connection.unread(), 0);
    assert!(connection.next().await.is_none());
    let error = connection.send(Message::text("late")).await.unwrap_err();
    assert!(matches!(error, Error::Closed(_)));
}

#[tokio::test(start_paused = true)]
async fn the_peers_close_frame_ends_the_stream_after_what_it_sent() {
    let (mut connection, mut server) = pair(None).await;
    server.send(Message::text("last")).await.unwrap();
    let frame = super::CloseFrame { code: CloseCode::Restart, reason: "at once".into() };
    server.send(Message::Close(Some(frame.clone()))).await.unwrap();
    assert_eq!(connection.next().await.unwrap().unwrap(), Message::text("last"));
    assert!(connection.next().await.is_none());
    let end = connection.end().unwrap();
    assert_eq!(end.to_string(), "the peer closed the connection with code 1012: at once");
    // The frame is answered, and the stream ended.
    assert_eq!(soon(server.next()).await.unwrap().unwrap(), Message::Close(Some(frame)));
    assert!(soon(server.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_dropped_tells_its_peer() {
    let (connection, mut server) = pair(None).await;
    drop(connection);
    let Message::Close(Some(frame)) = soon(server.next()).await.unwrap().unwrap() else {
        panic!("no close frame")
    };
    assert_eq!(frame.code, CloseCode::Away);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_cannot_keep_a_dropped_connection() {
    let (mut connection, mut server) = bare(None, 64).await;
    assert!(timeout(SECOND, connection.send(Message::binary(vec![0; 1000]))).await.is_err());
    drop(connection);
    let mut rest = Vec::new();
    soon(server.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.len() < 1000);
}

#[tokio::test(start_paused = true)]
async fn an_end_without_a_close_frame_is_an_error() {
    let (mut connection, server) = pair(None).await;
    drop(server);
    let end = soon(connection.next()).await.unwrap().unwrap_err();
    let Error::Broken(cause) = &end else { panic!("{end}") };
    assert!(
        matches!(**cause, tungstenite::Error::Protocol(_) | tungstenite::Error::Io(_)),
        "{cause}"
    );
    assert!(connection.next().await.is_none());
}

#[test]
fn a_connection_whose_runtime_has_ended_says_so() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (connection, _server) = runtime.block_on(pair(defaults()));
    assert!(connection.is_open());
    drop(runtime);
    assert!(matches!(connection.end(), Some(Error::RuntimeEnded)));
}

// Logs.

#[tokio::test(start_paused = true)]
async fn each_missed_beat_is_a_warning() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let (mut connection, _server) = pair(defaults().max_missed(2)).await;
    soon(connection.next()).await.unwrap().unwrap_err();

    let said = warnings.said();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("message=a heartbeat was missed"), "{said:?}");
    assert!(said[1].starts_with("message=the peer is silent: the connection is dead"), "{said:?}");
    for (n, warning) in said.iter().enumerate() {
        assert!(warning.contains("url=\"ws://test\""), "{warning}");
        assert!(warning.contains(&format!("missed={}", n + 1)), "{warning}");
    }
}
