//! What tells hosts apart.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::uri::Authority;
use http::{HeaderValue, Uri};

use super::Error;
use crate::connectors::shown::Shown;

/// A scheme, a host and a port: the key of the client's pool.
///
/// The host is in lower case and the port is always there, so that `http://Example.com` and
/// `http://example.com:80/path` have one origin.
///
/// # Examples
///
/// ```
/// use wharf::http::Origin;
///
/// let origin: Origin = "https://Example.com/path".parse()?;
/// assert_eq!(origin.to_string(), "https://example.com:443");
/// # Ok::<_, wharf::http::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    tls: bool,
    /// Host and port. Shared, because each answer knows where it came from.
    address: Arc<str>,
}

impl Origin {
    /// Whether the scheme is `https`.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        self.address.rsplit_once(':').map_or(&*self.address, |(host, _)| host)
    }

    /// Host and port, as a dial takes them.
    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Host and port, as requests name them: a scheme's own port is left out.
    pub(super) fn as_host(&self) -> HeaderValue {
        let own = if self.tls { ":443" } else { ":80" };
        let authority = self.address.strip_suffix(own).unwrap_or(&self.address);
        HeaderValue::from_str(authority).expect("it is a part of a URI")
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
            None => return Err(Error::Request(format!("{} is no absolute URI", shown(uri)))),
        };
        let authority = uri.authority().map_or("", Authority::as_str);
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
        Ok(Origin { tls, address: address(host, port).into() })
    }
}

/// The URI as errors show it.
fn shown(uri: &Uri) -> String {
    Shown(&uri.to_string()).to_string()
}

fn own_port(tls: bool) -> &'static str {
    if tls { "443" } else { "80" }
}

/// A port as it is usually written, so that one port has one name.
fn canonical(port: &str) -> Result<&str, Error> {
    if port.parse::<u16>().is_err() {
        let must = "it must be a number from 0 to 65535";
        return Err(Error::Request(format!("the port is {port:?}: {must}")));
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
        let uri: Uri = uri
            .parse()
            .map_err(|error| Error::Request(format!("{:?} is no URI: {error}", Shown(uri))))?;
        Origin::try_from(&uri)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.address)
    }
}

/// The same as its `Display`, so that the pool's reports read well.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
