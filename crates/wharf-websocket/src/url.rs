//! Reads from a key where to dial.

use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::http::uri::Authority;

use wharf::connector::Redacted;
use wharf::transport::{Host, Place, unix_socket};

use super::error::Error;
use super::tls_or_none::is_server_name;

/// The parts of a URL.
#[derive(Debug)]
pub(super) struct Url {
    /// The request's URI, without the path of a Unix socket.
    pub(super) uri: Uri,
    /// The host without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// The path of the Unix socket to dial instead of the host.
    socket: Option<String>,
    is_tls: bool,
}

impl Url {
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        take_apart(url).map_err(|reason| Error::Url { url: Redacted(url).to_string(), reason })
    }

    /// Returns the name that the server's certificate must have, for `wss`.
    pub(super) fn tls_name(&self) -> Option<&str> {
        self.is_tls.then_some(&self.host)
    }

    pub(super) fn place(&self) -> Place<'_> {
        match &self.socket {
            Some(path) => Place::Unix(path),
            None => Place::Host(Host { name: &self.host, port: self.port }),
        }
    }
}

fn take_apart(url: &str) -> Result<Url, String> {
    if url.contains('#') {
        return Err("must have no fragment".to_owned());
    }
    let uri: Uri = url.parse().map_err(|error| format!("is not a URL: {error}"))?;
    let is_tls = match uri.scheme_str() {
        Some("ws") => false,
        Some("wss") => true,
        _ => return Err("must begin with ws:// or wss://".to_owned()),
    };
    let (uri, socket) = without_socket(uri)?;
    let authority = uri.authority().filter(|authority| !authority.host().is_empty());
    let authority = authority.ok_or("must name a host")?;
    if authority.as_str().contains('@') {
        return Err("must have no user and password: set a header instead".to_owned());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let default = if is_tls { 443 } else { 80 };
    let port = match authority.as_str().strip_prefix(authority.host()) {
        None | Some("") => default,
        Some(_) => authority.port_u16().ok_or("must have a port from 0 to 65535")?,
    };
    if is_tls && !is_server_name(&host) {
        return Err("must name a host that a certificate can name".to_owned());
    }
    Ok(Url { uri, host, port, socket, is_tls })
}

/// Returns the URI of the request, and the Unix socket if the URI names one.
fn without_socket(uri: Uri) -> Result<(Uri, Option<String>), String> {
    let authority = uri.authority().map_or("", Authority::as_str);
    let Some((socket, asked)) = unix_socket(authority, uri.path()) else {
        return Ok((uri, None));
    };
    let socket = Some(socket.to_owned());
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let asked = format!("{asked}{query}");
    let scheme = uri.scheme_str().unwrap_or("ws");
    let uri = Uri::builder().scheme(scheme).authority("localhost").path_and_query(asked).build();
    Ok((uri.map_err(|error| format!("must have a path after the socket's: {error}"))?, socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (url, host, port, is_tls) in [
            ("ws://example.com", "example.com", 80, false),
            ("ws://example.com/", "example.com", 80, false),
            ("wss://example.com/a?b=c", "example.com", 443, true),
            ("ws://example.com:8080/a", "example.com", 8080, false),
            ("wss://192.0.2.1:1", "192.0.2.1", 1, true),
            ("wss://[::1]:8443/", "::1", 8443, true),
        ] {
            let parsed = Url::parse(url).unwrap();
            assert_eq!((&*parsed.host, parsed.port, parsed.is_tls), (host, port, is_tls));
        }
    }

    #[test]
    fn a_url_of_a_unix_socket_is_that_of_localhost_on_it() {
        for (url, uri) in [
            ("ws://unix:/run/a.sock", "ws://localhost/"),
            ("ws://unix:/run/a.sock:/room?a=b:c", "ws://localhost/room?a=b:c"),
            ("ws://unix:/run/a.sock?token=a:b", "ws://localhost/?token=a:b"),
            ("wss://unix:/run/a.sock:/", "wss://localhost/"),
        ] {
            let parsed = Url::parse(url).unwrap();
            assert_eq!(parsed.place(), Place::Unix("/run/a.sock"));
            assert_eq!(parsed.uri, uri);
        }
    }

    #[test]
    fn a_url_that_cannot_be_dialed_is_named_with_the_reason() {
        for (url, reason) in [
            ("", "is not a URL: empty string"),
            ("no url", "is not a URL: invalid uri character"),
            ("example.com:80", "must begin with ws:// or wss://"),
            ("/path", "must begin with ws:// or wss://"),
            ("http://example.com", "must begin with ws:// or wss://"),
            ("ws://", "is not a URL: empty string"),
            ("WS://example.com", "must begin with ws:// or wss://"),
            ("ws://:80/", "must name a host"),
            ("ws://me:secret@example.com", "must have no user and password: set a header instead"),
            ("ws://example.com/#top", "must have no fragment"),
            ("ws://example.com:70000", "must have a port from 0 to 65535"),
            ("ws://example.com:http", "must have a port from 0 to 65535"),
            #[cfg(feature = "tls")]
            ("wss://under_score-/", "must name a host that a certificate can name"),
        ] {
            let error = Url::parse(url).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("{:?} cannot be dialed: it {reason}", Redacted(url))
            );
            assert!(!error.is_retryable());
        }
    }
}
