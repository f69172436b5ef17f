//! A tunnel through an HTTP proxy.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::{self, Upgraded};
use hyper_util::rt::TokioIo;
use wharf::transport::{Host, Stream};

use crate::early::with_early;
use crate::failure::Failure;

/// The longest answer of a proxy, without its body, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024;

/// The same as in the client for HTTP.
const MAX_INTERIM: usize = 8;

/// Asks the proxy at the other end of the stream for a tunnel.
pub(crate) async fn open(
    stream: Stream,
    to: Host<'_>,
    credentials: Option<&HeaderValue>,
) -> Result<Stream, Failure> {
    let interim = Arc::new(AtomicUsize::new(0));
    let mut request = request(to, credentials)?;
    let count = interim.clone();
    hyper::ext::on_informational(&mut request, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut http = http1::Builder::new();
    http.max_buf_size(LONGEST_ANSWER);
    let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(broken)?;
        upgraded(response).await
    };
    driven(connection.with_upgrades(), exchange, &interim).await.map(into_stream)
}

fn request(to: Host<'_>, credentials: Option<&HeaderValue>) -> Result<Request<String>, Failure> {
    let authority = authority(to).ok_or_else(|| {
        Failure::refused(true, "the name of the destination cannot stand in a request")
    })?;
    let host = HeaderValue::from_str(authority.as_str()).expect("it is a part of a URI");
    let mut request = Request::new(String::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = authority.into();
    request.headers_mut().insert(HOST, host);
    if let Some(credentials) = credentials {
        request.headers_mut().insert(PROXY_AUTHORIZATION, credentials.clone());
    }
    Ok(request)
}

pub(crate) fn authority(to: Host<'_>) -> Option<Authority> {
    let name = to.bare_name();
    let is_ipv6 = name.contains(':');
    let name = if is_ipv6 { format!("[{name}]") } else { name.to_owned() };
    let authority: Authority = format!("{name}:{}", to.port).parse().ok()?;
    (!name.is_empty() && authority.host() == name).then_some(authority)
}

async fn upgraded(response: Response<Incoming>) -> Result<Upgraded, Failure> {
    let status = response.status();
    if !status.is_success() {
        return Err(Failure::refused(is_final(status), format!("it answered {status}")));
    }
    upgrade::on(response).await.map_err(broken)
}

/// Whether the proxy would give the same answer to the next dial.
fn is_final(status: StatusCode) -> bool {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => false,
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => true,
        _ => !status.is_server_error(),
    }
}

/// Runs an exchange together with the connection on which it takes place. The connection ends first
/// when it becomes a tunnel, and its errors are those of the exchange.
async fn driven<T>(
    connection: impl Future,
    exchange: impl Future<Output = Result<T, Failure>>,
    interim: &AtomicUsize,
) -> Result<T, Failure> {
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut has_ended = false;
    poll_fn(|cx| {
        has_ended = has_ended || connection.as_mut().poll(cx).is_ready();
        if interim.load(Ordering::Relaxed) > MAX_INTERIM {
            let reason = "it sent more than 8 interim responses";
            return Poll::Ready(Err(Failure::refused(false, reason)));
        }
        exchange.as_mut().poll(cx)
    })
    .await
}

fn into_stream(upgraded: Upgraded) -> Stream {
    let parts = upgraded.downcast::<TokioIo<Stream>>().expect("the connection was made of one");
    with_early(parts.read_buf, parts.io.into_inner())
}

fn broken(error: hyper::Error) -> Failure {
    let of_stream = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let kind = match of_stream {
        Some(error) => error.kind(),
        None if error.is_incomplete_message() => io::ErrorKind::UnexpectedEof,
        None => io::ErrorKind::InvalidData,
    };
    Failure::broken(io::Error::new(kind, error))
}
