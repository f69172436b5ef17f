//! Dials a configuration's hosts, one address at a time, so that it is known which of them has
//! answered: a cancellation must go to the same address.

use std::net::{IpAddr, SocketAddr};

use tokio::net::lookup_host;
use tokio_postgres::config::{Host, LoadBalanceHosts};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Error, Socket};

/// tokio-postgres' own default.
const PORT: u16 = 5432;

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

impl Peer {
    /// Whether it is on the same machine, where nothing is encrypted.
    pub(super) fn is_local(&self) -> bool {
        !matches!(self, Peer::Tcp(_))
    }
}

type Dialed<T> = (Client, Connection<Socket, <T as MakeTlsConnect<Socket>>::Stream>, Option<Peer>);

/// Same as `Config::connect`; the call also reports what is wrong with a configuration that has no
/// host.
pub(super) async fn dial<T>(config: &Config, tls: &T) -> Result<Dialed<T>, Error>
where
    T: MakeTlsConnect<Socket> + Clone,
{
    let mut failure = None;
    for (host, address, port) in hosts(config) {
        for peer in balanced(peers(host, address, port).await, config) {
            let only = with_host(config, host, &peer, port);
            match only.connect(tls.clone()).await {
                Ok((client, connection)) => return Ok((client, connection, Some(peer))),
                Err(error) => failure = Some(error),
            }
        }
    }
    match failure {
        Some(error) => Err(error),
        // No host, or none whose name is known.
        None => {
            config.connect(tls.clone()).await.map(|(client, connection)| (client, connection, None))
        }
    }
}

type Target<'a> = (Option<&'a Host>, Option<IpAddr>, u16);

/// Returns nothing if the numbers of names, addresses and ports do not match.
fn hosts(config: &Config) -> Vec<Target<'_>> {
    let (names, addresses, ports) =
        (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = names.len().max(addresses.len());
    let fits = |n: usize| n == 0 || n == count;
    if !fits(names.len()) || !fits(addresses.len()) || !(ports.len() == 1 || fits(ports.len())) {
        return Vec::new();
    }
    let port = |nth| *ports.get(nth).or(ports.first()).unwrap_or(&PORT);
    let target = |nth| (names.get(nth), addresses.get(nth).copied(), port(nth));
    balanced((0..count).map(target).collect(), config)
}

/// Returns the hosts in the order in which they are tried, each with its addresses.
fn balanced<T>(mut targets: Vec<T>, config: &Config) -> Vec<T> {
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        fastrand::shuffle(&mut targets);
    }
    targets
}

/// Returns the addresses of a host.
async fn peers(host: Option<&Host>, address: Option<IpAddr>, port: u16) -> Vec<Peer> {
    if let Some(address) = address {
        return vec![Peer::Tcp((address, port).into())];
    }
    match host {
        Some(Host::Tcp(name)) => {
            lookup_host((&**name, port)).await.into_iter().flatten().map(Peer::Tcp).collect()
        }
        #[cfg(unix)]
        Some(Host::Unix(directory)) => {
            vec![Peer::Unix(directory.join(format!(".s.PGSQL.{port}")))]
        }
        None => Vec::new(),
    }
}

/// Returns the same configuration with a single host and a single address of it.
fn with_host(config: &Config, host: Option<&Host>, peer: &Peer, port: u16) -> Config {
    let mut only = without_hosts(config);
    match host {
        Some(Host::Tcp(name)) => drop(only.host(name)),
        #[cfg(unix)]
        Some(Host::Unix(directory)) => drop(only.host_path(directory)),
        None => {}
    }
    match peer {
        Peer::Tcp(address) => drop(only.hostaddr(address.ip())),
        #[cfg(unix)]
        Peer::Unix(_) => {}
    }
    only.port(port);
    only
}

/// Hosts can be added to a configuration, but not removed.
fn without_hosts(config: &Config) -> Config {
    let mut new = Config::new();
    let texts = [
        (config.get_user(), Config::user as fn(&mut Config, String) -> &mut Config),
        (config.get_dbname(), Config::dbname),
        (config.get_options(), Config::options),
        (config.get_application_name(), Config::application_name),
    ];
    for (text, set) in texts {
        if let Some(text) = text {
            set(&mut new, text.to_owned());
        }
    }
    if let Some(password) = config.get_password() {
        new.password(password);
    }
    if let Some(timeout) = config.get_connect_timeout() {
        new.connect_timeout(*timeout);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        new.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        new.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        new.keepalives_retries(retries);
    }
    new.ssl_mode(config.get_ssl_mode()).ssl_negotiation(config.get_ssl_negotiation());
    new.keepalives(config.get_keepalives()).keepalives_idle(config.get_keepalives_idle());
    new.target_session_attrs(config.get_target_session_attrs());
    new.channel_binding(config.get_channel_binding());
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Debug` shows everything that a configuration holds, except for the password and the hosts.
    #[test]
    fn one_host_of_a_configuration_keeps_everything_else() {
        let url = "host=a,b port=1,2 user=u password=p dbname=d options='-c x=y' application_name=n \
             sslmode=require sslnegotiation=direct connect_timeout=3 tcp_user_timeout=4 keepalives=0 keepalives_idle=5 \
             keepalives_interval=6 keepalives_retries=7 target_session_attrs=read-write channel_binding=require";
        let config: Config = url.parse().unwrap();
        let peer = Peer::Tcp(([127, 0, 0, 1], 2).into());
        let (host, _, port) = hosts(&config)[1];
        let wanted: Config =
            url.replace("host=a,b port=1,2", "host=b hostaddr=127.0.0.1 port=2").parse().unwrap();
        assert_eq!(with_host(&config, host, &peer, port), wanted);
    }

    /// Replicas behind one name are as many addresses of one host.
    #[test]
    fn hosts_and_addresses_are_tried_in_random_order_where_that_is_asked_for() {
        let firsts = |config: &str| {
            let config: Config = config.parse().unwrap();
            let addresses = || balanced(vec![1, 2, 3], &config)[0];
            (0..200).map(|_| addresses()).collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!(firsts("host=replicas"), 1);
        assert_eq!(firsts("host=replicas load_balance_hosts=random"), 3);
    }

    #[test]
    fn hosts_that_do_not_fit_are_left_to_the_driver() {
        for url in ["user=u", "host=a,b hostaddr=127.0.0.1", "host=a,b,c port=1,2"] {
            assert!(hosts(&url.parse().unwrap()).is_empty(), "{url}");
        }
        let ports: Vec<_> =
            hosts(&"host=a,b port=7".parse().unwrap()).iter().map(|host| host.2).collect();
        assert_eq!(ports, [7, 7]);
    }
}
