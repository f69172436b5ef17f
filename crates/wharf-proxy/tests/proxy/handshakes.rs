//! Handshakes with a proxy: the streams they take place on, what is not asked, and what is not heard.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use wharf::async_trait;
use wharf::tcp::TcpTransport;
use wharf::transport::{Host, Place, Stream, Transport};
use wharf_proxy::Proxies;

use crate::proxies::{TestProxy, read_head, serve};
use crate::support::*;

struct Buffered;

#[async_trait]
impl Transport for Buffered {
    async fn connect(&self, to: Place<'_>) -> io::Result<Stream> {
        let stream = TcpTransport::new().connect(to).await?;
        Ok(Stream::new(BufStream::new(stream)))
    }
}

#[tokio::test]
async fn a_handshake_over_a_stream_that_buffers_its_writes_is_flushed() {
    let http = TestProxy::http(echo().await, []).await;
    let socks = TestProxy::socks5(echo().await, None, 0).await;
    for proxy in [proxy("http", "", http.address), proxy("socks5h", "", socks.address)] {
        let to = Host::parse(DESTINATION).unwrap();
        let opened = tokio::time::timeout(60 * SECOND, proxy.connect(&Buffered, to)).await;
        assert!(opened.is_ok(), "{proxy} hangs");
    }
}

/// A socks proxy that accepts a tunnel and tells a bound name of bytes that are no UTF-8.
#[tokio::test]
async fn a_bound_name_that_is_no_text_says_nothing_about_the_destination() {
    let address = serve(|mut stream| async move {
        stream.read_exact(&mut [0; 3]).await.unwrap();
        stream.write_all(&[5, 0]).await.unwrap();
        stream.read_exact(&mut [0; 17]).await.unwrap();
        stream.write_all(b"\x05\0\0\x03\x02\xff\xfe\0\x50hello").await.unwrap();
        let _ = stream.read_u8().await;
    });
    let (error, is_retryable) = dial(proxy("socks5h", "", address.await)).await.unwrap_err();
    assert!(is_retryable && error.to_string().contains("does not answer as a SOCKS5"), "{error}");
}

struct Judge(Arc<Mutex<Vec<bool>>>);

#[async_trait]
impl Transport for Judge {
    async fn connect(&self, to: Place<'_>) -> io::Result<Stream> {
        let verdicts = self.0.clone();
        let stream = TcpTransport::new().connect(to).await?;
        Ok(stream.on_trial(move |passed| verdicts.lock().unwrap().push(passed)))
    }
}

/// A proxy that was not asked for anything has passed no trial.
#[tokio::test]
async fn a_destination_that_cannot_be_sent_is_no_trial_of_the_proxy() {
    let silent = serve(|mut stream| async move {
        let _ = stream.read_u8().await;
    })
    .await;
    for (scheme, name) in
        [("http", "a b".to_owned()), ("socks5h", "x".repeat(256)), ("socks5h", "a\r\nb".to_owned())]
    {
        let verdicts = Arc::default();
        let judge = Judge(Arc::clone(&verdicts));
        let to = Host { name: &name, port: 80 };
        let _ = proxy(scheme, "", silent).connect(&judge, to).await;
        assert_eq!(*verdicts.lock().unwrap(), [false; 0], "{scheme}: a silent proxy was dialed");
    }
}

/// Interim answers without an end.
#[tokio::test]
async fn interim_answers_without_an_end_are_an_error() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
        while stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await.is_ok() {}
    });
    let proxy = proxy("http", "", address.await);
    let dialed = tokio::time::timeout(60 * SECOND, dial(proxy)).await;
    assert!(dialed.is_ok(), "it is read without end");
}

/// Also run by the next test, as a child with a variable set.
#[test]
fn variables_of_a_process() {
    let Ok(_) = std::env::var("PROXIES_OF_CHILD") else { return };
    println!("CHILD {:?}", Proxies::from_env());
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_told_and_not_ignored() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "handshakes::variables_of_a_process", "--nocapture"])
        .env("PROXIES_OF_CHILD", "1")
        .env("ALL_PROXY", OsStr::from_bytes(b"http://me:gr\xfcn@proxy.example:3128"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(said.contains("CHILD Err"), "{said}");
}
