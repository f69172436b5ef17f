//! Reads from a URI where to dial.

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use wharf::connector::Redacted;
use wharf::transport::{Host, Place, unix_socket};

use super::error::Error;

/// Rejects URIs that cannot be dialed. Returns whether to use TLS.
pub(super) fn check(uri: &Uri) -> Result<bool, Error> {
    let invalid = |reason| Err(Error::InvalidUri { uri: shown(uri), reason });
    let scheme = uri.scheme();
    let is_tls = scheme == Some(&Scheme::HTTPS);
    if !is_tls && scheme != Some(&Scheme::HTTP) {
        return invalid("must begin with http:// or https://");
    }
    if uri.host().is_none_or(str::is_empty) {
        return invalid("must name a host");
    }
    let authority = authority(uri);
    if let Some((_, asked)) = unix_socket(authority, uri.path()) {
        let is_bare = asked == "/" && uri.query().is_none();
        return if is_bare { Ok(is_tls) } else { invalid(HAS_PATH) };
    }
    let path = uri.path_and_query().map_or("", PathAndQuery::as_str);
    if authority.contains('@') {
        return invalid("must not hold credentials");
    }
    let port = authority[uri.host().map_or(0, str::len)..].trim_start_matches(':');
    if !port.is_empty() && port.parse::<u16>().is_err() {
        return invalid("must have a port from 0 to 65535, or none");
    }
    if !matches!(path, "" | "/") {
        return invalid(HAS_PATH);
    }
    Ok(is_tls)
}

/// The URI as errors show it: without credentials.
fn shown(uri: &Uri) -> Uri {
    Redacted(&uri.to_string()).to_string().parse().unwrap_or_default()
}

const HAS_PATH: &str = "must not have a path: a call's path is its method";

/// Returns the destination of a dial, for a URI that was checked.
pub(super) fn place(uri: &Uri) -> Place<'_> {
    if let Some((path, _)) = unix_socket(authority(uri), uri.path()) {
        return Place::Unix(path);
    }
    let own = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let name = uri.host().unwrap_or_default();
    Place::Host(Host { name, port: uri.port_u16().unwrap_or(own) })
}

/// Returns the origin that calls name: of a Unix socket only the scheme.
pub(super) fn origin(uri: &Uri) -> Uri {
    match (place(uri), uri.scheme() == Some(&Scheme::HTTPS)) {
        (Place::Unix(_), false) => Uri::from_static("http://localhost"),
        (Place::Unix(_), true) => Uri::from_static("https://localhost"),
        _ => uri.clone(),
    }
}

fn authority(uri: &Uri) -> &str {
    uri.authority().map_or("", Authority::as_str)
}

/// Returns the name that the server's certificate must have: the host, or the one that was set.
pub(super) fn tls_name<'a>(uri: &'a Uri, set: Option<&'a str>) -> Result<&'a str, Error> {
    let of_uri = match place(uri) {
        Place::Host(host) => host.bare_name(),
        _ => "localhost",
    };
    let name = set.unwrap_or(of_uri);
    if is_server_name(name) {
        return Ok(name);
    }
    Err(Error::InvalidUri { uri: shown(uri), reason: "has a host that cannot be in a certificate" })
}

#[cfg(feature = "tls")]
pub(super) use wharf_http::tls::is_server_name;

/// Without TLS, the dial says what is missing.
#[cfg(not(feature = "tls"))]
pub(super) fn is_server_name(_: &str) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_that_cannot_be_dialed_is_refused_by_name() {
        for (uri, reason) in [
            ("example.com:443", "must begin with http:// or https://"),
            ("/a/path", "must begin with http:// or https://"),
            ("ftp://example.com", "must begin with http:// or https://"),
            ("http://example.com/a/path", "must not have a path: a call's path is its method"),
            ("http://example.com:99999", "must have a port from 0 to 65535, or none"),
            ("http://me:secret@example.com", "must not hold credentials"),
            ("http://unix:/run/a.sock:/path", "must not have a path: a call's path is its method"),
            ("http://example.com/?a=b", "must not have a path: a call's path is its method"),
        ] {
            let error = check(&uri.parse().unwrap()).unwrap_err().to_string();
            assert!(error.ends_with(reason), "{error}");
            assert!(error.contains(&shown(&uri.parse().unwrap()).to_string()), "{error}");
        }
    }

    #[test]
    fn the_scheme_says_whether_there_is_tls() {
        for (uri, is_tls) in [("http://a:1", false), ("HTTP://a/", false), ("https://[::1]", true)]
        {
            assert_eq!(check(&uri.parse().unwrap()).unwrap(), is_tls, "{uri}");
        }
    }

    #[test]
    fn a_place_has_the_schemes_port_or_a_socket() {
        let host = |name, port| Place::Host(Host { name, port });
        for (uri, wanted) in [
            ("http://a", host("a", 80)),
            ("https://a", host("a", 443)),
            ("https://[::1]:7", host("[::1]", 7)),
            ("http://unix:/run/a.sock", Place::Unix("/run/a.sock")),
            ("http://unix:/run/a.sock:/", Place::Unix("/run/a.sock")),
            ("http://unix:80", host("unix", 80)),
        ] {
            let uri = uri.parse().unwrap();
            check(&uri).unwrap();
            assert_eq!(place(&uri), wanted);
        }
        assert_eq!(origin(&Uri::from_static("https://unix:/a")), "https://localhost/");
    }

    #[test]
    fn a_certificate_is_expected_for_the_host_without_brackets_or_for_the_name_that_was_set() {
        let uri = Uri::from_static("https://[::1]:50051");
        assert_eq!(tls_name(&uri, None).unwrap(), "::1");
        assert_eq!(tls_name(&uri, Some("orders.example")).unwrap(), "orders.example");
    }
}

#[cfg(all(test, not(feature = "tls")))]
mod without_tls {
    use tokio::time::Instant;
    use wharf::SharedPool;
    use wharf::transport::{Place, Stream, Transport};
    use wharf::{Backoff, async_trait};

    use crate::GrpcConnector;

    /// Is never asked.
    struct Silent;

    #[async_trait]
    impl Transport for Silent {
        async fn connect(&self, _: Place<'_>) -> std::io::Result<Stream> {
            panic!("nothing is dialed in vain")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_encrypted_url_fails_at_once_and_names_the_feature() {
        let began = Instant::now();
        let connector = GrpcConnector::builder().transport(Silent).build().unwrap();
        let pool = SharedPool::builder().retry(Backoff::default()).build(connector).unwrap();
        let uri = http::Uri::from_static("https://orders.example:50051");
        let error = pool.acquire(&uri).await.unwrap_err().to_string();
        let dials = pool.status().dials;
        assert!(error.contains("feature `tls`, of wharf-http or of wharf-grpc"), "{error}");
        assert_eq!((dials, began.elapsed().as_millis()), (1, 0));
    }
}
