//! Settings that are read from files.

use std::time::Duration;

use wharf::{BuildError, Pool};
use wharf_postgres::Settings;
use wharf_postgres::tokio_postgres::Config;
use wharf_postgres::tokio_postgres::config::Host;

use crate::support::{Database, acquire, needs_server};

const SECRET: &str = "swordfish";

fn toml(text: &str) -> Settings {
    toml::from_str(text).unwrap()
}

fn rejected(text: &str) -> BuildError {
    toml(text).builder().unwrap_err()
}

#[test]
fn every_setting_of_a_file_reaches_the_configuration() {
    let settings = toml(
        r#"
        host = ["a", "b"]
        hostaddr = ["127.0.0.1", "::1"]
        port = [1, 2]
        user = "u"
        password = "p"
        dbname = "d"
        options = "-c x=y"
        application_name = "n"
        sslmode = "require"
        sslnegotiation = "direct"
        channel_binding = "require"
        target_session_attrs = "read-write"
        load_balance_hosts = "random"
        connect_timeout = "3s"
        tcp_user_timeout = "4s"
        keepalives = false
        keepalives_idle = "5s"
        keepalives_interval = "6s"
        keepalives_retries = 7
        reset = "discard"
        transaction_pooling = false
        statement_cache_capacity = 8
        slow_statement = "1m 500ms"
        "#,
    );
    let wanted = "host=a,b hostaddr=127.0.0.1,::1 port=1,2 user=u password=p dbname=d options='-c x=y' \
        application_name=n sslmode=require sslnegotiation=direct channel_binding=require \
        target_session_attrs=read-write load_balance_hosts=random connect_timeout=3 \
        tcp_user_timeout=4 keepalives=0 keepalives_idle=5 keepalives_interval=6 keepalives_retries=7";
    assert_eq!(settings.config().unwrap(), wanted.parse::<Config>().unwrap());
    let connector = format!("{:?}", settings.builder().unwrap().build().unwrap());
    let of_connector = "reset: Discard, transaction_pooling: false, statement_cache_capacity: 8, \
        slow_statement: Some(60.5s)";
    assert!(connector.contains(of_connector), "{connector}");
}

#[test]
fn a_setting_left_out_has_its_default() {
    let config = toml("host = \"/run/postgresql\"").config().unwrap();
    assert_eq!(config, "host=/run/postgresql".parse::<Config>().unwrap());
    let one_port = toml("host = [\"a\", \"b\"]\nport = 7").config().unwrap();
    assert_eq!(one_port, "host=a,b port=7".parse::<Config>().unwrap());
    // As in JSON.
    let json: Settings =
        serde_json::from_str(r#"{"hostaddr": "10.0.0.1", "user": "app"}"#).unwrap();
    assert_eq!(json.config().unwrap(), "hostaddr=10.0.0.1 user=app".parse::<Config>().unwrap());
    let fixed = wharf_postgres::PostgresConnector::new("host=a".parse().unwrap());
    let read = toml("host = \"a\"").builder().unwrap().build().unwrap();
    assert_eq!(format!("{read:?}"), format!("{fixed:?}"));
}

#[test]
fn a_setting_replaces_what_the_url_says() {
    let settings = "url = \"postgres://app@db.example/shop?connect_timeout=9\"\n\
        password = \"p\"\nconnect_timeout = \"2s\"";
    let config = toml(settings).config().unwrap();
    assert_eq!(config.get_hosts(), [Host::Tcp("db.example".to_owned())]);
    assert_eq!(config.get_user(), Some("app"));
    assert_eq!(config.get_password(), Some("p".as_bytes()));
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(2)));
    let error = rejected("url = \"postgres://app@db.example\"\nhost = \"other\"");
    assert_eq!(error.to_string(), "host is \"other\": it must be left out where `url` is set");
}

#[test]
fn an_invalid_setting_is_rejected_by_its_name_and_value() {
    for (value, wanted) in [
        (
            "sslmode = \"on\"",
            "sslmode is \"on\": it must be one of \"disable\", \"prefer\", \"require\"",
        ),
        ("port = 70000", "port is 70000: it must be a port or a list of ports"),
        ("port = 0", "port is 0: it must be a port or a list of ports"),
        ("port = [\"5432\"]", "port is [\"5432\"]: it must be a port or a list of ports"),
        ("port = [1, 2]", "port is [1, 2]: it must have 1, one for each server"),
        ("hostaddr = \"db\"", "hostaddr is \"db\": it must be an IP address or a list of them"),
        ("user = 7", "user is 7: it must be a text"),
        ("keepalives = 1", "keepalives is 1: it must be true or false"),
        ("keepalives_retries = -1", "keepalives_retries is -1: it must be a count"),
        (
            "reset = \"all\"",
            "reset is \"all\": it must be one of \"none\", \"rollback\", \"discard\"",
        ),
        (
            "statement_cache_capacity = 1.5",
            "statement_cache_capacity is a value of another kind: it must be a count",
        ),
    ] {
        assert_eq!(rejected(&format!("host = \"db\"\n{value}")).to_string(), wanted);
    }
    for value in ["5", "\"5\"", "\"5M\"", "\"0s\"", "\"soon\""] {
        for name in ["connect_timeout", "tcp_user_timeout", "keepalives_idle", "slow_statement"] {
            let error = rejected(&format!("host = \"db\"\n{name} = {value}"));
            assert_eq!((error.field, &*error.value), (name, value));
            assert!(error.reason.contains("90s"), "{error}");
        }
    }
    for (settings, value) in [("", "not set"), ("host = []", "[]"), ("host = \"\"", "\"\"")] {
        let error = rejected(settings);
        assert_eq!((error.field, &*error.value), ("host", value));
    }
    let both = rejected("host = \"a\"\nreset = \"discard\"\ntransaction_pooling = true\nreste = 1");
    assert_eq!((both.field, &*both.value), ("the name of a setting", "\"reste\""));
    assert!(
        both.reason.starts_with("must be one of url, host, ")
            && both.reason.ends_with("slow_statement")
    );
}

/// The lines of a file that a format shows with its own errors may have it.
#[test]
fn no_error_of_a_setting_and_no_debug_shows_a_password() {
    for settings in [
        "url = \"postgres://app:swordfish@db.example:many/shop\"",
        "url = \"postgres://app@db.example/shop?swordfish=1\"",
        "host = \"postgres://app:swordfish@db.example\"",
        "url = \"host=db.example password=fish swordfish=\"",
        "url = \"user=swordfish\"",
        "url = [\"postgres://app:swordfish@db.example\"]",
        "host = \"a\"\npassword = [\"swordfish\"]",
        "host = \"a\"\npasword = \"swordfish\"",
        "password = \"swordfish\"",
        "host = 7\npassword = \"swordfish\"",
    ] {
        let error = rejected(settings);
        let shown = format!("{error} {error:?} {:?}", toml(settings));
        assert!(!shown.contains(SECRET), "{shown}");
    }
    // In one line, for a format that shows it.
    let line = r#"{ host = "a", port = "many", password = "swordfish" }"#;
    let file: std::collections::HashMap<String, Settings> =
        toml::from_str(&format!("database = {line}")).unwrap();
    assert_eq!(file["database"].config().unwrap_err().field, "port");
    let shown = format!("{:?}", toml("host = \"a\"\nport = 5432\npassword = \"swordfish\""));
    assert_eq!(shown, "Settings { host: \"a\", port: 5432, password: not shown, .. }");
}

#[tokio::test]
async fn a_pool_is_made_of_a_file() {
    #[derive(serde::Deserialize)]
    struct File {
        database: Settings,
        pool: wharf::Config,
    }

    needs_server!();
    let database = Database::new().await;
    let (server, name) = (database.server(), database.config());
    let text = format!(
        "[database]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"postgres\"\ndbname = \"{}\"\n\
         application_name = \"from a file\"\n[pool]\nmax_per_host = 2",
        server.port(),
        name.get_dbname().unwrap(),
    );
    let file: File = toml::from_str(&text).unwrap();
    let connector = file.database.builder().unwrap().build().unwrap();
    let pool = Pool::builder().config(file.pool).build(connector).unwrap();
    let shown: String =
        acquire(&pool).await.query_one("SHOW application_name", &[]).await.unwrap().get(0);
    assert_eq!(shown, "from a file");
    pool.close().await;
}
