//! Passes a request on to an upstream, and its answer back.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING, VIA,
};
use hyper::http::uri::InvalidUriParts;
use hyper::{Request, Response, StatusCode, Uri};
use tower_http::timeout::{TimeoutBody, TimeoutError};
use wharf::{AcquireError, Phase};
use wharf_http::{Client, Error};

use crate::Failure;

/// What the proxy answers: streamed from an upstream, or a line of its own.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Failure>>;

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

/// How long either side may take for the next piece of a body, and a client to read the next of its response: meanwhile they
/// hold a connection to the upstream, which others need. Where upstreams send events now and then, give them more.
pub(crate) const MAX_STALL: Duration = Duration::from_secs(1);

/// The length up to which a request's body is read first: 64 KiB, up to which `wharf_http` can send it again.
const SHORT: u64 = 64 << 10;

const BY: HeaderValue = HeaderValue::from_static("1.1 wharf-proxy");

/// Passes a request on, and its answer back. Both bodies are streamed: each piece is passed on when it comes. Only the
/// bodies of requests that say that they are 64 KiB or shorter are read first, so that they can be sent again.
pub(crate) async fn forward(
    client: &Client,
    (name, upstream): (&str, &Uri),
    from: IpAddr,
    request: Request<Incoming>,
) -> Answer {
    if has_unknown_coding(request.headers()) {
        return refusal(StatusCode::NOT_IMPLEMENTED, "this transfer coding is not known");
    }
    let Ok(request) = addressed(request, upstream, from) else {
        return refusal(StatusCode::BAD_REQUEST, "this cannot be passed on");
    };
    let request = match read_if_short(request).await {
        Ok(request) => request,
        Err(error) => return refused(name, &*error),
    };
    match client.request(request).await {
        Ok(response) if has_unknown_coding(response.headers()) => {
            refusal(StatusCode::BAD_GATEWAY, &format!("{name}: its transfer coding is not known"))
        }
        Ok(mut response) => {
            strip(response.headers_mut());
            response.headers_mut().append(VIA, BY);
            // The status has been sent by then, so the client only sees that the answer breaks off.
            response.map(|body| TimeoutBody::new(MAX_STALL, body).map_err(logged).boxed_unsync())
        }
        Err(error) => failed(name, &error),
    }
}

/// Reads a short body before a connection is taken. Any body fails where its next piece does not come for too long.
async fn read_if_short(
    request: Request<Incoming>,
) -> Result<Request<Either<Full<Bytes>, TimeoutBody<Incoming>>>, Failure> {
    let (head, body) = request.into_parts();
    let is_short = body.size_hint().upper().is_some_and(|length| length <= SHORT);
    let body = TimeoutBody::new(MAX_STALL, body);
    let body = if is_short {
        Either::Left(body.collect().await?.to_bytes().into())
    } else {
        Either::Right(body)
    };
    Ok(Request::from_parts(head, body))
}

fn logged(error: Failure) -> Failure {
    eprintln!("{error}");
    error
}

/// The request as the upstream gets it.
fn addressed(
    mut request: Request<Incoming>,
    upstream: &Uri,
    from: IpAddr,
) -> Result<Request<Incoming>, InvalidUriParts> {
    let mut uri = upstream.clone().into_parts();
    uri.path_and_query = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from_parts(uri)?;
    let headers = request.headers_mut();
    strip(headers);
    strip_claims(headers);
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

/// Removes what a client says of itself, since anybody can claim to be somebody else. Append to it where the client is
/// another proxy of yours.
fn strip_claims(headers: &mut HeaderMap) {
    let claims: Vec<_> = headers.keys().filter(|name| is_claim(name)).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

/// Many servers read `_` in a name as `-`.
fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str().replace('_', "-");
    name.starts_with("x-forwarded-") || name == "forwarded" || name == "x-real-ip"
}

/// Whether the body is coded otherwise than in chunks, which are taken apart here and made again. Without its header, the
/// other side could not read it (RFC 9112, 6.1).
fn has_unknown_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

fn strip(headers: &mut HeaderMap) {
    let named = headers.get_all(CONNECTION).iter();
    let named = named.flat_map(|names| names.as_bytes().split(|byte| *byte == b','));
    let named: Vec<_> =
        named.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect();
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
    if let Error::RequestBody(source) | Error::Upload { source, .. } = error {
        return refused(name, &**source);
    }
    eprintln!("{name}: {error}");
    let (status, why) = reason(error);
    refusal(status, &format!("{name}: {why}"))
}

/// The client did not send what it said it would.
fn refused(name: &str, error: &(dyn StdError + Send + Sync + 'static)) -> Answer {
    eprintln!("{name}: the request's body: {error}");
    let (status, why) = if error.is::<TimeoutError>() {
        (StatusCode::REQUEST_TIMEOUT, "the request's body did not come in time")
    } else {
        (StatusCode::BAD_REQUEST, "the request's body is not whole")
    };
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
        Error::Request(_) => (StatusCode::BAD_REQUEST, "the request cannot be passed on".into()),
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
