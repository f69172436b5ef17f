//! A proxy, and tunnels through it.

use std::error::Error;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout};
use wharf::connector::{Redacted, dial_deadline};
use wharf::transport::{Host, Place, Stream, Transport};

use crate::failure::{Failure, described};
use crate::{http_tunnel, socks};

/// An HTTP or SOCKS5 proxy, parsed from its URL. Clones share it.
///
/// `Display` and `Debug` show `***` in place of user and password. Two proxies that differ in them
/// are not equal, so that a proxy can be a part of a pool's key.
///
/// See [the crate](crate#which-proxies) for the URLs.
///
/// # Examples
///
/// ```
/// use wharf_proxy::Proxy;
///
/// let proxy: Proxy = "http://app:secret@proxy.example:3128".parse()?;
/// assert_eq!(proxy.to_string(), "http://***@proxy.example:3128");
/// # Ok::<_, wharf_proxy::InvalidProxy>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy(Arc<Parts>);

#[derive(PartialEq, Eq, Hash)]
struct Parts {
    protocol: Protocol,
    /// An IPv6 address is in brackets.
    host: String,
    port: u16,
}

#[derive(PartialEq, Eq, Hash)]
enum Protocol {
    Http { credentials: Option<HeaderValue> },
    Socks5 { credentials: Option<(String, String)>, resolves: bool },
}

/// # What it is
impl Proxy {
    /// Returns the destination of dials to the proxy itself.
    pub fn host(&self) -> Host<'_> {
        Host { name: &self.0.host, port: self.0.port }
    }

    /// Returns whether it is an HTTP proxy, which takes also requests that are meant for others.
    pub fn is_http(&self) -> bool {
        matches!(self.0.protocol, Protocol::Http { .. })
    }

    /// Returns what an HTTP proxy with credentials wants in the header `Proxy-Authorization`. It is
    /// marked as sensitive, so that its `Debug` does not show it.
    pub fn authorization(&self) -> Option<HeaderValue> {
        match &self.0.protocol {
            Protocol::Http { credentials } => credentials.clone(),
            Protocol::Socks5 { .. } => None,
        }
    }

    fn scheme(&self) -> &'static str {
        match self.0.protocol {
            Protocol::Http { .. } => "http",
            Protocol::Socks5 { resolves: false, .. } => "socks5",
            Protocol::Socks5 { resolves: true, .. } => "socks5h",
        }
    }

    fn has_credentials(&self) -> bool {
        match &self.0.protocol {
            Protocol::Http { credentials } => credentials.is_some(),
            Protocol::Socks5 { credentials, .. } => credentials.is_some(),
        }
    }
}

/// # Going through it
impl Proxy {
    /// Makes a stream to this host through the proxy, which the transport dials.
    ///
    /// # Errors
    ///
    /// Those of the transport, and of the proxy. See [the crate](crate#errors).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the connection to the proxy is.
    pub async fn connect(&self, transport: &dyn Transport, to: Host<'_>) -> io::Result<Stream> {
        if let Protocol::Socks5 { resolves: false, .. } = &self.0.protocol {
            return self.connect_resolved(transport, to).await;
        }
        self.check(to)?;
        self.connect_to(transport, to, None).await
    }

    /// Whether the proxy can be asked for this name. It is not dialed in vain.
    fn check(&self, to: Host<'_>) -> io::Result<()> {
        let is_askable = match &self.0.protocol {
            Protocol::Http { .. } => http_tunnel::authority(to).is_some(),
            Protocol::Socks5 { .. } => is_sent(to.bare_name()) && is_plain(to.bare_name()),
        };
        if is_askable {
            return Ok(());
        }
        let what = format!("the proxy {self} cannot be asked for {}", quoted(to));
        Err(io::Error::new(io::ErrorKind::InvalidInput, what))
    }

    /// Tries the addresses of the host one after the other, each for its share of the dial's time.
    async fn connect_resolved(
        &self,
        transport: &dyn Transport,
        to: Host<'_>,
    ) -> io::Result<Stream> {
        let resolved = lookup_host((to.bare_name(), to.port)).await;
        let resolved = resolved.map_err(|error| {
            let what = format!("{}, for the proxy {self}, could not be resolved", quoted(to));
            described(what, error)
        })?;
        let (mut last, addresses) = (None, resolved.collect::<Vec<_>>());
        for (tried, address) in addresses.iter().enumerate() {
            let attempt = self.connect_to(transport, to, Some(*address));
            let outcome = match share(addresses.len() - tried) {
                Some(share) => timeout(share, attempt).await.unwrap_or_else(|_| {
                    let reason = format!("the proxy {self} reached no {address} in time");
                    Err(io::Error::new(io::ErrorKind::TimedOut, reason))
                }),
                None => attempt.await,
            };
            match outcome {
                Err(error) if wharf::transport::is_retryable(&error) => last = Some(error),
                outcome => return outcome,
            }
        }
        Err(last.unwrap_or_else(|| {
            let reason = format!("{}, for the proxy {self}, has no address", quoted(to));
            io::Error::new(io::ErrorKind::NotFound, reason)
        }))
    }

    async fn connect_to(
        &self,
        transport: &dyn Transport,
        to: Host<'_>,
        address: Option<SocketAddr>,
    ) -> io::Result<Stream> {
        let dialed = transport.connect(Place::Host(self.host())).await;
        let mut stream = dialed.map_err(|error| {
            described(format!("the proxy {self}, for {}, could not be reached", quoted(to)), error)
        })?;
        let trial = stream.trial();
        let opened = self.handshake(stream, to, address).await;
        if opened.as_ref().err().is_none_or(|failure| failure.has_answered) {
            trial.passed();
        }
        opened.map_err(|failure| {
            described(format!("the proxy {self} opened no tunnel to {}", quoted(to)), failure.error)
        })
    }

    async fn handshake(
        &self,
        stream: Stream,
        to: Host<'_>,
        address: Option<SocketAddr>,
    ) -> Result<Stream, Failure> {
        match &self.0.protocol {
            Protocol::Http { credentials } => {
                http_tunnel::open(stream, to, credentials.as_ref()).await
            }
            Protocol::Socks5 { credentials, .. } => {
                let credentials = credentials.as_ref().map(|(user, word)| (&**user, &**word));
                socks::open(stream, to, address, credentials).await
            }
        }
    }
}

impl FromStr for Proxy {
    type Err = InvalidProxy;

    fn from_str(url: &str) -> Result<Self, InvalidProxy> {
        let parsed = parse(url)
            .map_err(|reason| InvalidProxy { url: shown(url), reason: reason.to_owned() })?;
        Ok(Proxy(Arc::new(parsed)))
    }
}

/// Without what may be a password, even where it holds what a password in a URL cannot.
fn shown(url: &str) -> String {
    url.rsplit_once('@')
        .map_or_else(|| Redacted(url).to_string(), |(_, host)| format!("***@{host}"))
}

fn parse(url: &str) -> Result<Parts, &'static str> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let scheme = &*scheme.to_ascii_lowercase();
    if scheme == "https" {
        return Err("TLS to a proxy is for the inner transport to speak: \
             give ProxyTransport a TlsTransport, and the proxy's URL with http:// and a port");
    }
    if !["http", "socks5", "socks5h"].contains(&scheme) {
        return Err("its scheme must be http, socks5 or socks5h");
    }
    if !rest.is_ascii() || rest.trim_end_matches('/').contains(['/', '?', '#']) {
        return Err("it must have no path, and user and password must be written with % \
             before what a URL cannot hold, such as / ? and #");
    }
    let parsed = intercept(&format!("{scheme}://{rest}")).ok_or(
        "it must be like http://user:password@proxy.example:3128, \
         with % before what a URL cannot hold",
    )?;
    let (host, port) = address(parsed.uri(), if scheme == "http" { 80 } else { 1080 })?;
    Ok(Parts { protocol: protocol(scheme, &parsed)?, host, port })
}

/// Has the URL read as that of an environment variable is.
fn intercept(url: &str) -> Option<Intercept> {
    Matcher::builder().all(url).build().intercept(&Uri::from_static("http://example.com"))
}

fn address(uri: &Uri, default_port: u16) -> Result<(String, u16), &'static str> {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = uri.host().unwrap_or_default();
    if authority.contains('@') {
        return Err("an @ in user or password must be written %40");
    }
    if host.is_empty() {
        return Err("it names no host");
    }
    if authority == host {
        return Ok((host.to_ascii_lowercase(), default_port));
    }
    let given = Host::parse(authority).map_err(|_| "its port must be a number from 0 to 65535")?;
    Ok((given.name.to_ascii_lowercase(), given.port))
}

fn protocol(scheme: &str, parsed: &Intercept) -> Result<Protocol, &'static str> {
    if scheme == "http" {
        return Ok(Protocol::Http { credentials: parsed.basic_auth().cloned() });
    }
    let credentials = parsed.raw_auth();
    if credentials.is_some_and(|(user, word)| !is_sent(user) || !is_sent(word)) {
        return Err("SOCKS5 wants a user and a password of 1 to 255 bytes each, or neither");
    }
    let credentials = credentials.map(|(user, word)| (user.to_owned(), word.to_owned()));
    Ok(Protocol::Socks5 { credentials, resolves: scheme == "socks5h" })
}

/// Whether SOCKS5 has room for it.
fn is_sent(text: &str) -> bool {
    (1..=255).contains(&text.len())
}

/// What the first of several attempts has of the time of a pool's dial. `None` for the last one.
fn share(attempts: usize) -> Option<Duration> {
    let deadline = dial_deadline().filter(|_| attempts > 1)?;
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    Some(deadline.saturating_duration_since(Instant::now()) / attempts)
}

/// As errors show it: a line break in it does not end a line of a log.
fn quoted(to: Host<'_>) -> String {
    format!("{:?}", to.to_string())
}

/// Whether it may be a name at all.
fn is_plain(name: &str) -> bool {
    !name.contains(|c: char| c.is_control() || c.is_whitespace())
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.has_credentials() { "***@" } else { "" };
        write!(f, "{}://{user}{}:{}", self.scheme(), self.0.host, self.0.port)
    }
}

/// The same as `Display`, so that it shows no password either.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not the URL of a proxy that can be used. It shows no user and no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidProxy {
    url: String,
    reason: String,
}

impl InvalidProxy {
    /// Names the setting that the text comes from.
    pub(crate) fn of(self, setting: &str) -> Self {
        InvalidProxy { reason: format!("{} (in {setting})", self.reason), ..self }
    }
}

impl fmt::Display for InvalidProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not the URL of a proxy: {}", self.url, self.reason)
    }
}

impl Error for InvalidProxy {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_without_user_and_password() {
        for (url, shown) in [
            ("http://proxy.example", "http://proxy.example:80"),
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("me:secret@proxy.example:3128", "http://***@proxy.example:3128"),
            ("http://me:secret@Proxy.example:3128/", "http://***@proxy.example:3128"),
            ("http://secret@[::1]:3128", "http://***@[::1]:3128"),
            ("socks5://proxy.example", "socks5://proxy.example:1080"),
            ("HTTP://proxy.example", "http://proxy.example:80"),
            ("socks5h://me:sec%40ret@proxy.example:9", "socks5h://***@proxy.example:9"),
        ] {
            let proxy: Proxy = url.parse().unwrap();
            assert_eq!(proxy.to_string(), shown);
            assert_eq!(format!("{proxy:?}"), shown);
        }
    }

    #[test]
    fn an_invalid_url_is_told_without_its_password() {
        for url in [
            "",
            "http://",
            "ftp://me:secret@proxy.example",
            "https://me:secret@proxy.example",
            "socks4://me:secret@proxy.example",
            "http://me:secret@proxy.example:99999",
            "http://me:secret@:80",
            "http://me:sec@cret@proxy.example",
            "http://me:sec ret@proxy.example",
            "http://me:4711/secret@proxy.example:3128",
            "socks5h://me:4711?secret@proxy.example",
            "http://me:4711#secret@proxy.example:3128",
            "http://me:secr\u{fffd}et@proxy.example:3128",
            "socks5://secret@proxy.example",
            "socks5://:secret@proxy.example",
        ] {
            let error = url.parse::<Proxy>().unwrap_err();
            let said = format!("{error} {error:?}");
            let is_shown = ["sec", "ret@", "4711"].iter().any(|part| said.contains(part));
            assert!(!is_shown, "{said}");
        }
        let long = format!("socks5://me:{}@proxy.example", "x".repeat(256));
        assert!(long.parse::<Proxy>().is_err());
    }

    #[test]
    fn proxies_with_other_passwords_are_not_equal() {
        let proxy = |url: &str| url.parse::<Proxy>().unwrap();
        assert_eq!(proxy("http://me:one@proxy"), proxy("http://me:one@proxy:80"));
        assert_ne!(proxy("http://me:one@proxy"), proxy("http://me:two@proxy"));
        assert_ne!(proxy("socks5://me:one@proxy"), proxy("socks5://me:two@proxy"));
        assert_ne!(proxy("socks5://proxy"), proxy("socks5h://proxy"));
    }

    #[test]
    fn credentials_are_sent_decoded() {
        let proxy: Proxy = "http://Aladdin:open%20sesame@proxy".parse().unwrap();
        let sent = proxy.authorization().unwrap();
        assert_eq!(sent, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(format!("{sent:?}"), "Sensitive");
    }
}
