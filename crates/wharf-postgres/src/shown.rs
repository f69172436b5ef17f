//! How a database is shown in errors, logs and metrics, where the key says nothing: its servers and its name, and never
//! a user or a password.

use std::fmt;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

const PORT: u16 = 5432;

/// `db-1:5432,db-2:5432/shop`.
pub(super) struct Shown<'a>(pub(super) &'a Config);

impl Shown<'_> {
    fn hosts(&self) -> Vec<String> {
        let by_address = || self.0.get_hostaddrs().iter().map(ToString::to_string).collect();
        let hosts: Vec<_> = self.0.get_hosts().iter().map(host).collect();
        if hosts.is_empty() { by_address() } else { hosts }
    }

    /// One port is for all hosts, none is PostgreSQL's own.
    fn port(&self, host: usize) -> u16 {
        let ports = self.0.get_ports();
        *ports.get(host).or(ports.first()).unwrap_or(&PORT)
    }
}

fn host(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    }
}

/// In quotes, as strings are shown.
impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts();
        let places = hosts.iter().enumerate().map(|(n, host)| format!("{host}:{}", self.port(n)));
        let mut shown = places.collect::<Vec<_>>().join(",");
        if let Some(name) = self.0.get_dbname() {
            shown.push('/');
            shown.push_str(name);
        }
        fmt::Debug::fmt(&shown, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(config: &str) -> String {
        format!("{:?}", Shown(&config.parse().unwrap()))
    }

    #[test]
    fn a_database_is_shown_by_its_servers_and_its_name_and_without_a_user_or_a_password() {
        let url = "postgres://app:secret@db-1:5433,db-2:5434/shop";
        assert_eq!(shown(url), "\"db-1:5433,db-2:5434/shop\"");
        assert_eq!(shown("host=db-1,db-2 user=app password=secret"), "\"db-1:5432,db-2:5432\"");
        assert_eq!(shown("host=db-1,db-2 port=5433 dbname=shop"), "\"db-1:5433,db-2:5433/shop\"");
        assert_eq!(shown("hostaddr=10.0.0.1 dbname=shop"), "\"10.0.0.1:5432/shop\"");
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_is_shown_by_its_directory() {
        assert_eq!(shown("host=/run/postgresql dbname=shop"), "\"/run/postgresql:5432/shop\"");
    }
}
