//! Tunnels through SOCKS5 proxies.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf::{Backoff, Connector};

use crate::proxies::{TestProxy, serve};
use crate::support::*;

#[tokio::test]
async fn a_stream_through_a_proxy_is_pooled() {
    for (user, credentials) in [(None, ""), (Some(("me", "secret")), "me:secret@")] {
        let socks = TestProxy::socks5(echo().await, user, 0).await;
        let pool = pool(proxy("socks5h", credentials, socks.address), None);
        for _ in 0..3 {
            echoes(&mut pool.acquire(DESTINATION).await.unwrap()).await;
        }
        assert_eq!(socks.asked(), [DESTINATION]);
    }
}

#[tokio::test]
async fn the_scheme_says_who_resolves_names() {
    let socks = TestProxy::socks5(echo().await, None, 0).await;
    for (scheme, key) in [
        ("socks5h", "localhost:80"),
        ("socks5h", "192.0.2.1:80"),
        ("socks5h", "[2001:db8::1]:80"),
        ("socks5", "192.0.2.1:80"),
    ] {
        let connector = connector(proxy(scheme, "", socks.address));
        echoes(&mut connector.connect(&key.to_owned()).await.unwrap()).await;
    }
    let sent = ["localhost:80", "<192.0.2.1>:80", "<2001:db8::1>:80", "<192.0.2.1>:80"];
    assert_eq!(socks.asked(), sent);

    let connector = connector(proxy("socks5", "", socks.address));
    connector.connect(&"localhost:80".to_owned()).await.unwrap();
    let sent = socks.asked().pop().unwrap();
    assert!(["<127.0.0.1>:80", "<::1>:80"].contains(&&*sent), "{sent}");

    let error = connector.connect(&DESTINATION.to_owned()).await.unwrap_err().to_string();
    assert!(error.contains(DESTINATION) && error.contains("could not be resolved"), "{error}");
}

#[tokio::test]
async fn bytes_that_come_with_the_answer_are_read_first() {
    let address = serve(|mut stream| async move {
        stream.read_exact(&mut [0; 3]).await.unwrap();
        stream.write_all(&[5, 0]).await.unwrap();
        stream.read_exact(&mut [0; 17]).await.unwrap();
        stream.write_all(b"\x05\0\0\x03\x01x\0\x50hello").await.unwrap();
        let _ = stream.read_u8().await;
    });
    let mut stream = dial(proxy("socks5h", "", address.await)).await.unwrap();
    let mut greeting = [0; 5];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"hello");
}

#[tokio::test]
async fn wrong_credentials_are_told_and_not_tried_again() {
    let user = Some(("me", "secret"));
    for (credentials, reason) in [
        ("", "it asks for a user and a password"),
        ("me:secret2@", "does not accept the user and the password"),
    ] {
        let socks = TestProxy::socks5(echo().await, user, 0).await;
        let proxy = proxy("socks5h", credentials, socks.address);
        let (error, is_retryable) = dial(proxy.clone()).await.unwrap_err();
        assert_told(&error, &proxy, reason);
        assert!(!is_retryable, "{error}");
        let pool = pool(proxy, Some(Backoff::default()));
        let error = of_dial(pool.acquire(DESTINATION).await.unwrap_err());
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_says_why() {
    for (reply, reason, is_retried) in [
        (1, "general failure", true),
        (2, "connection not allowed by ruleset", false),
        (3, "network unreachable", true),
        (4, "host unreachable", true),
        (5, "connection refused", true),
        (6, "TTL expired", true),
        (7, "command not supported", false),
        (8, "address type not supported", true),
        (99, "does not answer as a SOCKS5 proxy does", true),
    ] {
        let socks = TestProxy::socks5(echo().await, None, reply).await;
        let proxy = proxy("socks5h", "", socks.address);
        let (error, retried) = dial(proxy.clone()).await.unwrap_err();
        assert_told(&error, &proxy, reason);
        assert_eq!(retried, is_retried, "{reason}");
    }
}

#[tokio::test]
async fn a_name_for_which_the_protocol_has_no_room_is_not_sent() {
    let socks = TestProxy::socks5(echo().await, None, 0).await;
    let connector = connector(proxy("socks5h", "", socks.address));
    for length in [256, 600] {
        let key = format!("{}:80", "x".repeat(length));
        let error = connector.connect(&key).await.unwrap_err();
        assert!(!connector.is_retryable(&error), "{error}");
    }
    assert_eq!(socks.asked(), Vec::<String>::new());
}
