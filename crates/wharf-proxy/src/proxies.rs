//! Which proxy a destination gets.

use std::fmt;
use std::sync::Arc;

use crate::environment::Environment;
use crate::{Destination, InvalidProxy, Proxy};

type Choice = dyn Fn(&Destination<'_>) -> Option<Proxy> + Send + Sync;

/// Which proxy each destination is reached through, if any. Clones share it.
///
/// A [`Proxy`] is turned into one by `into()`: that proxy, for every destination. The default is
/// none.
#[derive(Clone, Default)]
pub struct Proxies(Rule);

#[derive(Clone, Default)]
enum Rule {
    #[default]
    None,
    All(Proxy),
    Environment(Arc<Environment>),
    By(Arc<Choice>),
}

impl Proxies {
    /// Leads everything directly to its destination.
    pub fn none() -> Self {
        Proxies::default()
    }

    /// Leads everything through this proxy, `localhost` included.
    pub fn all(proxy: Proxy) -> Self {
        Proxies(Rule::All(proxy))
    }

    /// Reads the environment of the process, once, as Go and curl do.
    ///
    /// | variable | used for |
    /// | --- | --- |
    /// | `HTTP_PROXY`, `http_proxy` | destinations with the scheme `http` |
    /// | `HTTPS_PROXY`, `https_proxy` | all others, also those whose scheme is not known |
    /// | `ALL_PROXY`, `all_proxy` | those for which the variable above is not set |
    /// | `NO_PROXY`, `no_proxy` | hosts that are reached directly, separated by commas |
    ///
    /// The first that is set and not empty counts. An entry of `NO_PROXY` is a name, which means its
    /// subdomains too; an address; a network such as `10.0.0.0/8`; or `*` for every host. An address in
    /// IPv6 that stands for one in IPv4 is that one. It cannot
    /// hold a port. As with curl, and unlike with Go, `localhost` has to be named.
    ///
    /// In a CGI program, where `REQUEST_METHOD` is set, `HTTP_PROXY` is ignored: it is the header
    /// `Proxy` of the program's client.
    ///
    /// # Errors
    ///
    /// If one of the variables is not the URL of a proxy. Nothing is reached directly by mistake.
    pub fn from_env() -> Result<Self, InvalidProxy> {
        let environment = Environment::read(variable)?;
        Ok(Proxies(Rule::Environment(Arc::new(environment))))
    }

    /// Asks a function at each dial. It must not block.
    pub fn by(choice: impl Fn(&Destination<'_>) -> Option<Proxy> + Send + Sync + 'static) -> Self {
        Proxies(Rule::By(Arc::new(choice)))
    }

    /// Returns the proxy for this destination. `None` if it is reached directly.
    pub fn proxy_for(&self, to: &Destination<'_>) -> Option<Proxy> {
        match &self.0 {
            Rule::None => None,
            Rule::All(proxy) => Some(proxy.clone()),
            Rule::Environment(environment) => environment.proxy_for(to),
            Rule::By(choice) => choice(to),
        }
    }
}

/// What is no text does not become a URL, and so is an error.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

impl From<Proxy> for Proxies {
    fn from(proxy: Proxy) -> Self {
        Proxies::all(proxy)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::None => f.write_str("none"),
            Rule::All(proxy) => write!(f, "all by {proxy}"),
            Rule::Environment(environment) => environment.fmt(f),
            Rule::By(_) => f.write_str("by a function"),
        }
    }
}
