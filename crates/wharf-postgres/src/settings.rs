//! The settings of a connector in a file.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use tokio_postgres::Config;
use tokio_postgres::config::{
    ChannelBinding, LoadBalanceHosts, SslMode, SslNegotiation, TargetSessionAttrs,
};
use wharf::BuildError;

use super::builder::PostgresBuilder;
use super::connector::PostgresConnector;
use super::reset::Reset;
use super::value::{Setting, Value};

/// The settings of a connector, read from a file (feature `serde`).
///
/// It is read from any format that serde knows, such as TOML or JSON, with a table of its own.
/// [`builder`](Self::builder) and [`config`](Self::config) check it: an unknown name, or a value that
/// does not fit, is an error that names the setting and its value, and never shows a password.
/// Reading alone accepts everything that the format does, because formats show the line of an error,
/// and a password may be in it. `Debug` shows neither the password nor the URL.
///
/// The names and words are those of PostgreSQL's own connection strings, except that times have
/// units (`"90s"`, `"250ms"`):
///
/// | setting | value |
/// | --- | --- |
/// | `url` | a URL (`postgres://app@db.example/shop`) or pairs (`host=db.example user=app`). What is set as well replaces what it says; `host`, `hostaddr` and `port` cannot be set as well. |
/// | `host` | a name, or the directory of a Unix socket, or a list of them. Without `url`, this or `hostaddr` is required. |
/// | `hostaddr` | an IP address, or a list with one for each `host` |
/// | `port` | one port for all hosts, or a list with one for each; 5432 by default |
/// | `user`, `password`, `dbname`, `options`, `application_name` | texts |
/// | `sslmode` | `"disable"`, `"prefer"` (default) or `"require"` |
/// | `sslnegotiation` | `"postgres"` (default) or `"direct"` |
/// | `channel_binding` | `"disable"`, `"prefer"` (default) or `"require"` |
/// | `target_session_attrs` | `"any"` (default), `"read-write"` or `"read-only"` |
/// | `load_balance_hosts` | `"disable"` (default) or `"random"` |
/// | `connect_timeout` | a time for each host; none by default |
/// | `tcp_user_timeout` | a time; the system's by default |
/// | `keepalives` | true (default) or false |
/// | `keepalives_idle`, `keepalives_interval` | times; 2 hours and the system's by default |
/// | `keepalives_retries` | a count; the system's by default |
/// | `reset` | `"none"`, `"rollback"` (default) or `"discard"`: [`reset`](PostgresBuilder::reset) |
/// | `transaction_pooling` | true or false (default): [`transaction_pooling`](PostgresBuilder::transaction_pooling) |
/// | `statement_cache_capacity` | a count, 256 by default: [`statement_cache_capacity`](PostgresBuilder::statement_cache_capacity) |
/// | `slow_statement` | a time; no warning by default: [`slow_statement`](PostgresBuilder::slow_statement) |
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use wharf_postgres::Settings;
///
/// let settings: Settings = toml::from_str(
///     r#"
///     host = ["db-1", "db-2"]
///     user = "app"
///     password = "secret"
///     dbname = "shop"
///     target_session_attrs = "read-write"
///     slow_statement = "500ms"
///     "#,
/// )?;
/// let connector = settings.builder()?.build()?;
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Settings(BTreeMap<String, Value>);

/// The settings of the dial, in the order in which they are read: what follows `url` replaces what it
/// says.
const OF_CONFIG: [&str; 20] = [
    "url",
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "sslmode",
    "sslnegotiation",
    "channel_binding",
    "target_session_attrs",
    "load_balance_hosts",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
];

const OF_BUILDER: [&str; 4] =
    ["reset", "transaction_pooling", "statement_cache_capacity", "slow_statement"];

impl Settings {
    /// Starts the set-up of a connector with these settings. The key is `()`.
    ///
    /// # Errors
    ///
    /// The first invalid setting.
    pub fn builder(&self) -> Result<PostgresBuilder, BuildError> {
        let builder = PostgresConnector::builder(self.config()?);
        self.listed(&OF_BUILDER).try_fold(builder, set_builder)
    }

    /// Returns the configuration of the dials alone, for
    /// [`builder_by_key`](PostgresConnector::builder_by_key) and for connections outside a pool. It
    /// ignores `reset`, `transaction_pooling`, `statement_cache_capacity` and `slow_statement`.
    ///
    /// # Errors
    ///
    /// The first invalid setting.
    pub fn config(&self) -> Result<Config, BuildError> {
        self.check_names()?;
        self.check_servers()?;
        let mut config = Config::new();
        for setting in self.listed(&OF_CONFIG) {
            match setting.name {
                "url" => config = parsed(setting)?,
                "host" | "hostaddr" | "port" => set_servers(&mut config, setting)?,
                "sslmode"
                | "sslnegotiation"
                | "channel_binding"
                | "target_session_attrs"
                | "load_balance_hosts" => set_word(&mut config, setting)?,
                "user" | "password" | "dbname" | "options" | "application_name" => {
                    set_text(&mut config, setting)?;
                }
                _ => set_times(&mut config, setting)?,
            }
        }
        self.check_counts(&config)?;
        Ok(config)
    }

    fn get(&self, name: &'static str) -> Option<Setting<'_>> {
        self.0.get(name).map(|value| Setting { name, value })
    }

    fn listed<'a>(&'a self, names: &'a [&'static str]) -> impl Iterator<Item = Setting<'a>> {
        names.iter().filter_map(|name| self.get(name))
    }

    fn check_names(&self) -> Result<(), BuildError> {
        let known = || OF_CONFIG.iter().chain(&OF_BUILDER);
        let unknown = self.0.keys().find(|name| !known().any(|known| known == name));
        let Some(unknown) = unknown else { return Ok(()) };
        let names: Vec<_> = known().copied().collect();
        let reason = format!("must be one of {}", names.join(", "));
        Err(BuildError::new("the name of a setting", format!("{unknown:?}"), reason))
    }

    /// Hosts cannot be removed from what a URL says, only added.
    fn check_servers(&self) -> Result<(), BuildError> {
        let servers = || self.listed(&["host", "hostaddr", "port"]).next();
        match (self.get("url"), servers()) {
            (Some(_), Some(server)) => Err(server.rejected("must be left out where `url` is set")),
            _ => Ok(()),
        }
    }

    /// A dial would find this out, too, but much later.
    fn check_counts(&self, config: &Config) -> Result<(), BuildError> {
        let [hosts, addresses, ports] =
            [config.get_hosts().len(), config.get_hostaddrs().len(), config.get_ports().len()];
        let servers = hosts.max(addresses);
        let shown = |name| self.get(name).or(self.get("url"));
        if servers == 0 {
            let reason = "must name a server";
            return Err(match shown("host") {
                Some(setting) => setting.rejected(reason),
                None => BuildError::new("host", "not set", reason),
            });
        }
        let fits = |count| count == 0 || count == servers;
        let wrong = [
            ("host", fits(hosts)),
            ("hostaddr", fits(addresses)),
            ("port", ports == 1 || fits(ports)),
        ];
        match wrong.into_iter().find(|(_, fits)| !fits).and_then(|(name, _)| shown(name)) {
            Some(setting) => {
                Err(setting.rejected(format!("must have {servers}, one for each server")))
            }
            None => Ok(()),
        }
    }
}

/// The cause stays out: it may quote a part of the password, where that has a sign that a URL does
/// not allow.
fn parsed(setting: Setting<'_>) -> Result<Config, BuildError> {
    let reason = "must be a URL or pairs that tokio-postgres accepts; the cause is not shown, since \
                  it may quote the password";
    setting.text()?.parse().map_err(|_: tokio_postgres::Error| setting.rejected(reason))
}

fn set_servers(config: &mut Config, setting: Setting<'_>) -> Result<(), BuildError> {
    match setting.name {
        "host" => {
            let is_name = |text: &&str| !text.is_empty() && !text.contains("://");
            let name = |value: &Value| value.text().filter(is_name).map(str::to_owned);
            for host in
                setting.many(name, "must be a name or a list of names; a URL is for `url`")?
            {
                config.host(host);
            }
        }
        "hostaddr" => {
            let address = |value: &Value| value.text()?.parse().ok();
            for address in setting.many(address, "must be an IP address or a list of them")? {
                config.hostaddr(address);
            }
        }
        _ => {
            let port = |value: &Value| value.number().filter(|port| *port > 0);
            for port in setting.many(port, "must be a port or a list of ports")? {
                config.port(port);
            }
        }
    }
    Ok(())
}

fn set_text(config: &mut Config, setting: Setting<'_>) -> Result<(), BuildError> {
    let text = setting.text()?;
    match setting.name {
        "user" => config.user(text),
        "password" => config.password(text),
        "dbname" => config.dbname(text),
        "options" => config.options(text),
        _ => config.application_name(text),
    };
    Ok(())
}

fn set_word(config: &mut Config, setting: Setting<'_>) -> Result<(), BuildError> {
    match setting.name {
        "sslmode" => config.ssl_mode(setting.word(&[
            ("disable", SslMode::Disable),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
        ])?),
        "sslnegotiation" => {
            config.ssl_negotiation(setting.word(&[
                ("postgres", SslNegotiation::Postgres),
                ("direct", SslNegotiation::Direct),
            ])?)
        }
        "channel_binding" => config.channel_binding(setting.word(&[
            ("disable", ChannelBinding::Disable),
            ("prefer", ChannelBinding::Prefer),
            ("require", ChannelBinding::Require),
        ])?),
        "target_session_attrs" => config.target_session_attrs(setting.word(&[
            ("any", TargetSessionAttrs::Any),
            ("read-write", TargetSessionAttrs::ReadWrite),
            ("read-only", TargetSessionAttrs::ReadOnly),
        ])?),
        _ => config.load_balance_hosts(setting.word(&[
            ("disable", LoadBalanceHosts::Disable),
            ("random", LoadBalanceHosts::Random),
        ])?),
    };
    Ok(())
}

fn set_times(config: &mut Config, setting: Setting<'_>) -> Result<(), BuildError> {
    match setting.name {
        "connect_timeout" => config.connect_timeout(setting.time()?),
        "tcp_user_timeout" => config.tcp_user_timeout(setting.time()?),
        "keepalives" => config.keepalives(setting.flag()?),
        "keepalives_idle" => config.keepalives_idle(setting.time()?),
        "keepalives_interval" => config.keepalives_interval(setting.time()?),
        _ => config.keepalives_retries(setting.count()?),
    };
    Ok(())
}

fn set_builder(
    builder: PostgresBuilder,
    setting: Setting<'_>,
) -> Result<PostgresBuilder, BuildError> {
    Ok(match setting.name {
        "reset" => builder.reset(setting.word(&[
            ("none", Reset::None),
            ("rollback", Reset::Rollback),
            ("discard", Reset::Discard),
        ])?),
        "transaction_pooling" => builder.transaction_pooling(setting.flag()?),
        "statement_cache_capacity" => builder.statement_cache_capacity(setting.count()?),
        _ => builder.slow_statement(setting.time()?),
    })
}

/// Shows the known settings, but neither the password nor the URL.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Settings");
        for setting in self.listed(&OF_CONFIG).chain(self.listed(&OF_BUILDER)) {
            shown.field(setting.name, &format_args!("{setting}"));
        }
        shown.finish_non_exhaustive()
    }
}
