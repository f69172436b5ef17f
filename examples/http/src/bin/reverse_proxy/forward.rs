//! Passes a request on to an upstream, and its answer back.

use std::error::Error as StdError;
use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, VIA};
use hyper::http::uri::InvalidUriParts;
use hyper::{Request, Response, StatusCode, Uri};
use wharf::{AcquireError, Phase};
use wharf_http::{Client, Error};

/// What the proxy answers: streamed from an upstream, or a line of its own.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Error>>;

/// Headers that are about one connection, and not about the request (RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const BY: HeaderValue = HeaderValue::from_static("1.1 wharf-proxy");

/// Passes a request on, and its answer back. Both bodies are streamed: each piece is passed on when it comes. Only the
/// bodies of requests that say that they are 64 KiB or shorter are read first, so that they can be sent again.
pub(crate) async fn forward(
    client: &Client,
    (name, upstream): (&str, &Uri),
    from: IpAddr,
    request: Request<Incoming>,
) -> Answer {
    let Ok(request) = addressed(request, upstream, from) else {
        return refusal(StatusCode::BAD_REQUEST, "this cannot be passed on");
    };
    match client.request(request).await {
        Ok(mut response) => {
            strip(response.headers_mut());
            response.headers_mut().append(VIA, BY);
            // The status has been sent by then, so the client only sees that the answer breaks off.
            response.map(|body| body.map_err(logged).boxed_unsync())
        }
        Err(error) => failed(name, &error),
    }
}

fn logged(error: Error) -> Error {
    eprintln!("{error}");
    error
}

/// The request as the upstream gets it.
fn addressed<B>(
    mut request: Request<B>,
    upstream: &Uri,
    from: IpAddr,
) -> Result<Request<B>, InvalidUriParts> {
    let mut uri = upstream.clone().into_parts();
    uri.path_and_query = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from_parts(uri)?;
    let headers = request.headers_mut();
    strip(headers);
    // What a client says of itself is replaced: anybody can claim to be somebody else. Append where the client is another
    // proxy of yours.
    headers.remove("forwarded");
    headers.remove("x-forwarded-host");
    // The client's name for the server. The upstream's own takes its place.
    if let Some(host) = headers.remove(HOST) {
        headers.insert("x-forwarded-host", host);
    }
    let from = HeaderValue::try_from(from.to_string()).expect("an address is visible ASCII");
    headers.insert("x-forwarded-for", from);
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    headers.append(VIA, BY);
    Ok(request)
}

fn strip(headers: &mut HeaderMap) {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|names| names.split(','));
    let named: Vec<HeaderName> = named.filter_map(|name| name.trim().parse().ok()).collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Tells the client in a few words, and the log in full: the error's text has the upstream's address, and after a time-out
/// who has its connections.
fn failed(name: &str, error: &Error) -> Answer {
    eprintln!("{name}: {error}");
    let (status, why) = reason(error);
    refusal(status, &format!("{name}: {why}"))
}

fn reason(error: &Error) -> (StatusCode, String) {
    match error {
        Error::Acquire { source: AcquireError::QueueFull(_), .. } => busy(),
        // All connections were in use. In the other phases the upstream did not answer a dial.
        Error::Acquire { source: AcquireError::Timeout(report), .. }
            if report.phase == Phase::Queue =>
        {
            busy()
        }
        error if error.is_timeout() => (StatusCode::GATEWAY_TIMEOUT, "no answer in time".into()),
        Error::Request(_) | Error::RequestBody(_) | Error::Upload { .. } => {
            (StatusCode::BAD_REQUEST, "the request cannot be passed on".into())
        }
        error => (StatusCode::BAD_GATEWAY, innermost(error)),
    }
}

fn busy() -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, "all connections are in use".into())
}

/// What the system or hyper said. It names no host; the texts around it do.
fn innermost(error: &Error) -> String {
    let Some(mut cause) = error.source() else { return "its answer is not valid".into() };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// An answer of the proxy's own.
pub(crate) fn refusal(status: StatusCode, why: &str) -> Answer {
    let body = Full::from(format!("{why}\n")).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}
