//! TCP and TLS, below HTTP/2.

use std::sync::{Arc, OnceLock};

use http::uri::{Authority, PathAndQuery, Scheme};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tonic::transport::{Endpoint, Uri};
use tower_service::Service;

use super::error::GrpcError;
use super::options::GrpcOptions;
use crate::connectors::shown::Shown;

/// Refuses what cannot be dialed. Says whether it is to be dialed with TLS.
pub(super) fn check(uri: &Uri) -> Result<bool, GrpcError> {
    let invalid = |reason| Err(GrpcError::InvalidUri { uri: shown(uri), reason });
    let scheme = uri.scheme();
    let is_tls = scheme == Some(&Scheme::HTTPS);
    if !is_tls && scheme != Some(&Scheme::HTTP) {
        return invalid("must begin with http:// or https://");
    }
    if uri.host().is_none_or(str::is_empty) {
        return invalid("must name a host");
    }
    let authority = uri.authority().map_or("", Authority::as_str);
    if authority.contains('@') {
        return invalid("must not hold credentials");
    }
    let port = authority[uri.host().map_or(0, str::len)..].trim_start_matches(':');
    if !port.is_empty() && port.parse::<u16>().is_err() {
        return invalid("must have a port from 0 to 65535, or none");
    }
    if !matches!(uri.path_and_query().map(PathAndQuery::as_str), None | Some("" | "/")) {
        return invalid("must not have a path: a call's path is its method");
    }
    Ok(is_tls)
}

/// The URI as errors show it: without credentials.
fn shown(uri: &Uri) -> Uri {
    Shown(&uri.to_string()).to_string().parse().unwrap_or_default()
}

/// Dials as tonic would: every address of the name, IPv4 and IPv6 racing each other.
pub(super) async fn tcp(endpoint: &Endpoint) -> Result<TcpStream, GrpcError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(endpoint.get_tcp_nodelay());
    http.set_connect_timeout(endpoint.get_connect_timeout());
    http.set_keepalive(endpoint.get_tcp_keepalive());
    http.set_keepalive_interval(endpoint.get_tcp_keepalive_interval());
    http.set_keepalive_retries(endpoint.get_tcp_keepalive_retries());
    let stream = http.call(endpoint.uri().clone()).await;
    stream
        .map(hyper_util::rt::TokioIo::into_inner)
        .map_err(|error| GrpcError::Connect(error.into()))
}

pub(super) async fn tls(
    stream: TcpStream,
    uri: &Uri,
    options: &GrpcOptions,
) -> Result<TlsStream<TcpStream>, GrpcError> {
    let config = options.tls.as_ref().map_or_else(default_tls, asking_for_http2);
    let name = server_name(uri, options)?;
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(GrpcError::Tls)?;
    match stream.get_ref().1.alpn_protocol() {
        Some(H2) => Ok(stream),
        _ => Err(GrpcError::NoHttp2),
    }
}

const H2: &[u8] = b"h2";

fn server_name(uri: &Uri, options: &GrpcOptions) -> Result<ServerName<'static>, GrpcError> {
    let host = options.tls_server_name.as_deref().or(uri.host()).unwrap_or_default();
    // An IPv6 address has brackets in a URI, and none in a certificate.
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    ServerName::try_from(host).map_err(|_| GrpcError::InvalidUri {
        uri: shown(uri),
        reason: "has a host that no certificate can be for",
    })
}

fn asking_for_http2(config: &Arc<ClientConfig>) -> Arc<ClientConfig> {
    let mut config = config.clone();
    if config.alpn_protocols != [H2] {
        Arc::make_mut(&mut config).alpn_protocols = vec![H2.to_vec()];
    }
    config
}

/// Made once, so that sessions are resumed.
fn default_tls() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("this provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        asking_for_http2(&Arc::new(config))
    };
    CONFIG.get_or_init(make).clone()
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
    fn a_certificate_is_expected_for_the_host_without_brackets_or_for_the_name_that_was_set() {
        let uri = Uri::from_static("https://[::1]:50051");
        let name = server_name(&uri, &GrpcOptions::new()).unwrap();
        assert_eq!(name.to_str(), "::1");
        let named = GrpcOptions::new().tls_server_name("orders.example");
        assert_eq!(server_name(&uri, &named).unwrap().to_str(), "orders.example");
    }
}
