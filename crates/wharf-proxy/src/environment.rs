//! The environment variables that name proxies.

use std::net::IpAddr;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use crate::{Destination, InvalidProxy, Proxy};

/// What the variables said when they were read.
#[derive(Debug)]
pub(crate) struct Environment {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// `NO_PROXY` names every host.
    is_off: bool,
    /// Leads to a proxy what `NO_PROXY` does not name.
    no_proxy: Matcher,
}

impl Environment {
    /// Reads the variables by a function, so that tests need not set them.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidProxy> {
        let first = |names: &[&'static str]| {
            let values = names.iter().map(|name| (*name, variable(name).unwrap_or_default()));
            values.into_iter().find(|(_, value)| !value.trim().is_empty())
        };
        let proxy = |names: &[&'static str]| match first(names) {
            Some((name, url)) => url.trim().parse().map(Some).map_err(|e: InvalidProxy| e.of(name)),
            None => Ok(None),
        };
        // In a CGI program HTTP_PROXY is a header of the request.
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let http = if is_cgi { &["http_proxy"][..] } else { &["HTTP_PROXY", "http_proxy"] };
        let all = proxy(&["ALL_PROXY", "all_proxy"])?;
        let no = first(&["NO_PROXY", "no_proxy"]).map_or_else(String::new, |(_, hosts)| hosts);
        let no: Vec<_> = no.split(',').map(|host| host.trim().trim_matches(['[', ']'])).collect();
        Ok(Environment {
            is_off: no.contains(&"*"),
            http: proxy(http)?.or_else(|| all.clone()),
            https: proxy(&["HTTPS_PROXY", "https_proxy"])?.or(all),
            no_proxy: Matcher::builder().all("http://any").no(no.join(",")).build(),
        })
    }

    pub(crate) fn proxy_for(&self, to: &Destination<'_>) -> Option<Proxy> {
        let proxy = if to.scheme == Some("http") { &self.http } else { &self.https };
        proxy.clone().filter(|_| !self.is_direct(to))
    }

    /// Whether `NO_PROXY` names the host.
    fn is_direct(&self, to: &Destination<'_>) -> bool {
        let uri = Uri::builder().scheme("http").authority(plain(to.host.bare_name()));
        let uri = uri.path_and_query("/").build();
        self.is_off || uri.is_ok_and(|uri| self.no_proxy.intercept(&uri).is_none())
    }
}

/// The same name for the same host: without a zone, a final dot, or IPv6 around IPv4.
fn plain(name: &str) -> String {
    let without_zone = name.split_once('%').map_or(name, |(address, _)| address);
    match without_zone.parse().map(|address: IpAddr| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        Ok(IpAddr::V4(address)) => address.to_string(),
        Err(_) => name.strip_suffix('.').unwrap_or(name).to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use wharf::transport::Host;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Result<Environment, InvalidProxy> {
        Environment::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn chosen(variables: &[(&str, &str)], scheme: Option<&str>, name: &str) -> String {
        let host = Host { name, port: 80 };
        let to = Destination { scheme, host };
        let proxy = environment(variables).unwrap().proxy_for(&to);
        proxy.map_or_else(|| "direct".to_owned(), |proxy| proxy.to_string())
    }

    #[test]
    fn the_scheme_chooses_the_variable() {
        let set =
            [("HTTP_PROXY", "http://h"), ("https_proxy", "http://s"), ("ALL_PROXY", "http://a")];
        assert_eq!(chosen(&set, Some("http"), "example.com"), "http://h:80");
        assert_eq!(chosen(&set, Some("https"), "example.com"), "http://s:80");
        assert_eq!(chosen(&set, None, "example.com"), "http://s:80");
        assert_eq!(chosen(&set[2..], Some("http"), "example.com"), "http://a:80");
        assert_eq!(chosen(&set[2..], Some("https"), "example.com"), "http://a:80");
        assert_eq!(chosen(&set[..1], Some("https"), "example.com"), "direct");
        assert_eq!(chosen(&[], Some("http"), "example.com"), "direct");
    }

    #[test]
    fn a_variable_that_is_empty_counts_as_not_set() {
        let set = [("HTTP_PROXY", ""), ("http_proxy", "http://h")];
        assert_eq!(chosen(&set, Some("http"), "example.com"), "http://h:80");
    }

    #[test]
    fn hosts_of_no_proxy_are_reached_directly() {
        let no = "internal.example, .local,10.0.0.0/8 ,::1";
        let set = [("ALL_PROXY", "http://a"), ("NO_PROXY", no)];
        for name in
            ["internal.example", "db.Internal.example", "x.local", "10.1.2.3", "::1", "[::1]"]
        {
            assert_eq!(chosen(&set, None, name), "direct", "{name}");
        }
        for name in ["notinternal.example", "11.1.2.3", "localhost", "::2"] {
            assert_eq!(chosen(&set, None, name), "http://a:80", "{name}");
        }
        for name in ["example.com", "10.1.2.3", "::1", "[::1]"] {
            assert_eq!(chosen(&[set[0], ("no_proxy", "*")], None, name), "direct", "{name}");
        }
    }

    #[test]
    fn a_host_of_no_proxy_may_be_written_in_several_ways() {
        let no = "internal.example,[fe80::]/10,[::1],10.0.0.0/8";
        for no in [no, "internal.example,fe80::/10,::1,10.0.0.0/8"] {
            let set = [("ALL_PROXY", "http://a"), ("NO_PROXY", no)];
            let bracketed_network = no.contains("[fe80");
            for name in ["db.internal.example.", "[::1]", "[::ffff:10.0.0.1]", "[fe80::1%eth0]"] {
                if !(bracketed_network && name.contains("fe80")) {
                    assert_eq!(chosen(&set, None, name), "direct", "{name}");
                }
            }
        }
    }

    #[test]
    fn a_cgi_program_does_not_take_its_proxy_from_a_request() {
        let set = [("HTTP_PROXY", "http://evil"), ("REQUEST_METHOD", "GET")];
        assert_eq!(chosen(&set, Some("http"), "example.com"), "direct");
        let set = [("http_proxy", "http://own"), ("REQUEST_METHOD", "GET")];
        assert_eq!(chosen(&set, Some("http"), "example.com"), "http://own:80");
    }

    #[test]
    fn a_variable_that_is_no_url_is_told_and_not_ignored() {
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            let error = environment(&[(name, "ftp://me:secret@proxy")]).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("secret"), "{error}");
        }
    }
}
