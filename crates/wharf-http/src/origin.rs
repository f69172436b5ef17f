//! The key of the client's pool.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Uri};

use super::Error;
use super::proxy_or_none::{Proxies, Proxy, proxy_for};
use wharf::connector::Redacted;
use wharf::transport::{Host, Place, unix_socket};

/// The host name that requests over a Unix socket carry.
const LOCALHOST: &str = "localhost";

/// A scheme, a host and a port, and the proxy in between: the key of the client's pool.
///
/// The host is in lower case and the port is always present: `http://Example.com` and
/// `http://example.com:80/path` have the same origin.
///
/// A Unix socket can stand in place of host and port, in nginx's form: the URI
/// `http://unix:/run/docker.sock:/v1/info` requests `/v1/info` from the server on the socket
/// `/run/docker.sock`, as the host `localhost`. The path of the socket is used as written and must
/// not contain a colon or any character that a URI would have to encode. For the origin alone, as
/// in a setting, `unix:/run/docker.sock` can be parsed as well.
///
/// A parsed origin has no proxy; [`Client::origin`](super::Client::origin) has that of the client.
///
/// # Examples
///
/// ```
/// use wharf_http::Origin;
///
/// let origin: Origin = "https://Example.com/path".parse()?;
/// assert_eq!(origin.to_string(), "https://example.com:443");
///
/// let docker: Origin = "http://unix:/run/docker.sock:/v1/info".parse()?;
/// assert_eq!(docker, "unix:/run/docker.sock".parse()?);
/// assert_eq!(docker.to_string(), "http://unix:/run/docker.sock");
/// # Ok::<_, wharf_http::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    tls: bool,
    /// Host and port, or `unix:` and a path. It is shared because each response holds its origin.
    address: Arc<str>,
    proxy: Option<Proxy>,
}

impl Origin {
    fn direct(tls: bool, address: String) -> Self {
        Origin { tls, address: address.into(), proxy: None }
    }

    /// Returns whether the scheme is `https`.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Returns the host; an IPv6 address is in brackets. A Unix socket's is `localhost`.
    pub fn host(&self) -> &str {
        match self.place() {
            Place::Host(host) => host.name,
            _ => LOCALHOST,
        }
    }

    /// Returns the proxy through which the server is reached. `None` if it is reached directly.
    #[cfg(feature = "proxy")]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    #[cfg(not(feature = "proxy"))]
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Returns the origin with the proxy that is chosen for it.
    pub(super) fn chosen_by(mut self, proxies: &Proxies) -> Self {
        self.proxy = proxy_for(proxies, &self);
        self
    }

    /// Returns the proxy that takes the requests themselves, on HTTP/1.1, instead of opening a tunnel.
    pub(super) fn forwarded_by(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|proxy| !self.tls && proxy.is_http())
    }

    /// Returns a URI in the form that such a proxy wants. It leads to this origin, even if the
    /// `Host` header names another one.
    pub(super) fn absolute(&self, uri: &Uri) -> Uri {
        let asked = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let uri = Uri::builder().scheme(self.scheme()).authority(self.authority());
        uri.path_and_query(asked).build().expect("its parts were those of a URI")
    }

    /// Returns the server of a dial.
    pub(super) fn place(&self) -> Place<'_> {
        if let Some(path) = self.unix_socket() {
            return Place::Unix(path);
        }
        let (name, port) = self.address.rsplit_once(':').expect("it was put there");
        Place::Host(Host { name, port: port.parse().expect("it was checked") })
    }

    /// Returns the path of a Unix socket. It starts with a slash; a host that is named `unix` has its
    /// port there.
    fn unix_socket(&self) -> Option<&str> {
        self.address.strip_prefix("unix:").filter(|path| path.starts_with('/'))
    }

    /// Returns the name that the server's certificate must have, with `https`.
    pub(super) fn tls_name(&self) -> Option<&str> {
        let host = self.host().trim_start_matches('[').trim_end_matches(']');
        self.tls.then_some(host)
    }

    /// Returns host and port as requests name them: without the scheme's default port.
    pub(super) fn as_host(&self) -> HeaderValue {
        if self.unix_socket().is_some() {
            return HeaderValue::from_static(LOCALHOST);
        }
        HeaderValue::from_str(self.authority()).expect("it is a part of a URI")
    }

    fn authority(&self) -> &str {
        let own = if self.tls { ":443" } else { ":80" };
        self.address.strip_suffix(own).unwrap_or(&self.address)
    }

    /// Returns the URI of the request itself: without the path of a Unix socket.
    pub(super) fn requested(&self, uri: Uri) -> Result<Uri, Error> {
        let Some((_, path)) = unix_socket(authority(&uri), uri.path()) else { return Ok(uri) };
        // A colon in the query does not end the socket's path.
        let asked = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        let uri = Uri::builder().scheme(self.scheme()).authority(LOCALHOST).path_and_query(&*asked);
        uri.build().map_err(|error| {
            let asked = Redacted(&asked);
            Error::Request(format!("{asked:?} cannot be asked of a Unix socket: {error}"))
        })
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

impl TryFrom<&Uri> for Origin {
    type Error = Error;

    fn try_from(uri: &Uri) -> Result<Self, Error> {
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(other) => {
                let reason = format!("the scheme is {other:?}: it must be \"http\" or \"https\"");
                return Err(Error::Request(reason));
            }
            None => return Err(Error::Request(format!("{} is not an absolute URI", shown(uri)))),
        };
        let authority = authority(uri);
        if let Some((socket, _)) = unix_socket(authority, uri.path()) {
            return Ok(Origin::direct(tls, format!("unix:{socket}")));
        }
        if authority.contains('@') {
            let reason = "the URI holds credentials, which are not sent: use a header";
            return Err(Error::Request(reason.to_owned()));
        }
        let host = uri.host().unwrap_or_default();
        if host.is_empty() {
            return Err(Error::Request(format!("{} names no host", shown(uri))));
        }
        let port = match authority[host.len()..].trim_start_matches(':') {
            "" => own_port(tls),
            port => canonical(port)?,
        };
        Ok(Origin::direct(tls, address(host, port)))
    }
}

/// The URI as errors show it.
fn shown(uri: &Uri) -> String {
    Redacted(&uri.to_string()).to_string()
}

fn authority(uri: &Uri) -> &str {
    uri.authority().map_or("", Authority::as_str)
}

fn own_port(tls: bool) -> &'static str {
    if tls { "443" } else { "80" }
}

/// Writes a port in its canonical form, so that each port has one spelling. Text that is not a port
/// may be a part of a password and is not shown.
fn canonical(port: &str) -> Result<&str, Error> {
    if port.parse::<u16>().is_err() {
        let reason = "the port of the URI must be a number from 0 to 65535";
        return Err(Error::Request(reason.to_owned()));
    }
    match port.trim_start_matches(['+', '0']) {
        "" => Ok("0"),
        port => Ok(port),
    }
}

fn address(host: &str, port: &str) -> String {
    let mut address = String::with_capacity(host.len() + 1 + port.len());
    address.push_str(host);
    address.make_ascii_lowercase();
    address.push(':');
    address.push_str(port);
    address
}

impl FromStr for Origin {
    type Err = Error;

    fn from_str(uri: &str) -> Result<Self, Error> {
        if let Some(path) = uri.strip_prefix("unix:") {
            // Docker writes `unix:///path`.
            let path = path.trim_start_matches('/');
            return Ok(Origin::direct(false, format!("unix:/{path}")));
        }
        let uri: Uri = uri.parse().map_err(|error| {
            Error::Request(format!("{:?} is not a URI: {error}", Redacted(uri)))
        })?;
        Origin::try_from(&uri)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.address)?;
        match &self.proxy {
            Some(proxy) => write!(f, " through {proxy}"),
            None => Ok(()),
        }
    }
}

/// The same as `Display`, so that the pool's reports read well.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_in_a_query_does_not_say_what_a_unix_socket_is_asked_for() {
        for (uri, asked) in [
            ("http://unix:/run/a.sock:/v1?at=10:30", "http://localhost/v1?at=10:30"),
            ("http://unix:/run/a.sock?at=10:30", "http://localhost/?at=10:30"),
            ("http://unix:/run/a.sock?to=http://b/c", "http://localhost/?to=http://b/c"),
        ] {
            let uri: Uri = uri.parse().unwrap();
            let origin = Origin::try_from(&uri).unwrap();
            assert_eq!(origin.to_string(), "http://unix:/run/a.sock");
            assert_eq!(origin.requested(uri).unwrap(), asked);
        }
    }
}
