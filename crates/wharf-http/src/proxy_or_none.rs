//! Proxies, where the feature `proxy` is on; without it, there are none.

use crate::Origin;

#[cfg(feature = "proxy")]
pub(crate) use wharf_proxy::{Proxies, Proxy};

/// Returns the proxy through which a server is reached, if any. A Unix socket is on this machine.
#[cfg(feature = "proxy")]
pub(crate) fn proxy_for(proxies: &Proxies, origin: &Origin) -> Option<Proxy> {
    let wharf::transport::Place::Host(host) = origin.place() else { return None };
    proxies.proxy_for(&wharf_proxy::Destination::new(host).with_scheme(origin.scheme()))
}

#[cfg(not(feature = "proxy"))]
pub(crate) use without::{Proxies, Proxy, proxy_for};

#[cfg(not(feature = "proxy"))]
mod without {
    use std::{fmt, io};

    use http::HeaderValue;
    use wharf::transport::{Host, Stream, Transport};

    use super::Origin;

    #[derive(Clone, Debug, Default)]
    pub(crate) struct Proxies(());

    #[derive(Clone, PartialEq, Eq, Hash)]
    pub(crate) enum Proxy {}

    impl Proxy {
        pub(crate) fn host(&self) -> Host<'_> {
            match *self {}
        }

        pub(crate) fn is_http(&self) -> bool {
            match *self {}
        }

        pub(crate) fn authorization(&self) -> Option<HeaderValue> {
            match *self {}
        }

        #[allow(clippy::unused_async)] // As where there are proxies.
        pub(crate) async fn connect(&self, _: &dyn Transport, _: Host<'_>) -> io::Result<Stream> {
            match *self {}
        }
    }

    impl fmt::Display for Proxy {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            match *self {}
        }
    }

    pub(crate) fn proxy_for(_: &Proxies, _: &Origin) -> Option<Proxy> {
        None
    }
}
