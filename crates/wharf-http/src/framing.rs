//! The declared length of a request's body.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::{Body, SizeHint};

use super::Error;

/// Returns the length that a request declares for its body, by `content-length` or else by the
/// body's size hint. `None` if neither gives it or if the body is sent in chunks.
///
/// A peer reads as many bytes as were declared and takes the following ones for the next request.
/// Contradictions are therefore rejected; none is resolved silently.
pub(super) fn declared<B: Body>(request: &Request<B>) -> Result<Option<u64>, Error> {
    let (headers, body) = (request.headers(), request.body());
    let hint = if body.is_end_stream() { SizeHint::with_exact(0) } else { body.size_hint() };
    let length = content_length(headers)?;
    if headers.contains_key(TRANSFER_ENCODING) {
        if length.is_some() {
            let both = "it has both content-length and transfer-encoding";
            return Err(Error::Request(both.to_owned()));
        }
        return check_chunked(headers).map(|()| hint.exact());
    }
    let Some(length) = length else { return Ok(hint.exact()) };
    if let Some(exact) = hint.exact().filter(|exact| *exact != length) {
        return Err(contradiction(length, format_args!("{exact}")));
    }
    if length < hint.lower() {
        return Err(contradiction(length, format_args!("at least {}", hint.lower())));
    }
    if let Some(upper) = hint.upper().filter(|upper| *upper < length) {
        return Err(contradiction(length, format_args!("at most {upper}")));
    }
    Ok(Some(length))
}

fn contradiction(length: u64, has: std::fmt::Arguments<'_>) -> Error {
    Error::Request(format!("content-length is {length}, but the body has {has} bytes"))
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let mut all = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(Error::Request("it has several content-length headers".to_owned()));
    }
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse().ok());
    let refused = || Error::Request(format!("content-length is {value:?}, which is not a length"));
    length.map(Some).ok_or_else(refused)
}

/// `chunked` must occur once and be the last: otherwise a server cannot tell where the body ends.
fn check_chunked(headers: &HeaderMap) -> Result<(), Error> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let values: Vec<String> = headers.get_all(TRANSFER_ENCODING).iter().map(text).collect();
    let codings = values.join(",");
    let is_chunked = |coding: &str| coding.trim().eq_ignore_ascii_case("chunked");
    let chunked = codings.split(',').filter(|coding| is_chunked(coding)).count();
    if chunked == 1 && codings.rsplit(',').next().is_some_and(is_chunked) {
        return Ok(());
    }
    let reason = format!("transfer-encoding is {codings:?}: it must end in the only \"chunked\"");
    Err(Error::Request(reason))
}

/// Announces chunks for a body of unknown length where hyper would drop the body: with methods that
/// rarely have one.
pub(super) fn announce_chunks<B: Body>(request: &mut Request<B>) {
    let rarely_has_one = [Method::GET, Method::HEAD].contains(request.method());
    let is_untold = !request.body().is_end_stream() && request.body().size_hint().exact().is_none();
    if rarely_has_one && is_untold {
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().entry(TRANSFER_ENCODING).or_insert(chunked);
    }
}
