//! Settings that are read from files.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wharf::{Backoff, Config, HealthCheck, Heartbeat, Order, Pool, Reuse, SharedPool, Spread};
use wharf::{Observer, connector_fn};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn toml(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

fn json(text: &str) -> Config {
    serde_json::from_str(text).unwrap()
}

/// With nothing at its default.
fn all_set() -> Config {
    let mut config = Config::default();
    config.max_per_host = Some(11);
    config.initial_per_host = 1;
    config.min_idle_per_host = 2;
    config.max_idle_per_host = Some(9);
    config.max_idle = Some(20);
    config.max_total = Some(30);
    config.max_waiters_per_host = Some(100);
    config.max_dialing_per_host = Some(3);
    config.max_dialing = Some(4);
    config.order = Order::Fifo;
    config.reuse = Reuse::LeastRecent;
    config.spread = Spread::LeastLoaded;
    config.acquire_timeout = Some(Duration::from_millis(1500));
    config.connect_timeout = Some(secs(3));
    config.ping_timeout = Some(secs(2));
    config.close_timeout = Some(secs(1));
    config.idle_timeout = Some(secs(45));
    config.max_lifetime = Some(secs(3700));
    config.lifetime_jitter = 0.25;
    config.max_uses = Some(1000);
    config.health_check = HealthCheck::IdleFor(secs(30));
    config.heartbeat = Some(Heartbeat::every(secs(20)).timeout(secs(4)).max_missed(2));
    config.retry = Some(Backoff::default().initial(Duration::from_millis(50)).factor(1.5));
    config.slow_acquire = Some(Duration::from_micros(700));
    config.leak_after = Some(secs(600));
    config.deadlock_warnings = !config.deadlock_warnings;
    config.advice = Some(secs(600));
    config
}

/// Without a limit anywhere.
fn unlimited() -> Config {
    let mut config = Config::default();
    config.max_per_host = None;
    config.acquire_timeout = None;
    config.connect_timeout = None;
    config.ping_timeout = None;
    config.close_timeout = None;
    config.idle_timeout = None;
    config.max_lifetime = None;
    config
}

#[test]
fn the_defaults_are_the_builders() {
    let of_config = Pool::builder().config(Config::default());
    assert_eq!(format!("{of_config:?}"), format!("{:?}", Pool::builder()));
    assert_eq!(toml(""), Config::default());
    assert_eq!(json("{}"), Config::default());
}

#[test]
fn an_empty_table_means_its_own_defaults() {
    let config = toml("[heartbeat]\n[retry]");
    assert_eq!(config.heartbeat, Some(Heartbeat::default()));
    assert_eq!(config.retry, Some(Backoff::default()));
}

#[test]
fn written_settings_are_read_back() {
    for config in [Config::default(), all_set(), unlimited()] {
        assert_eq!(toml(&toml::to_string(&config).unwrap()), config);
        assert_eq!(json(&serde_json::to_string(&config).unwrap()), config);
    }
}

#[test]
fn every_setting_is_written() {
    let written = serde_json::to_value(all_set()).unwrap();
    let default = serde_json::to_value(Config::default()).unwrap();
    // `all_set` leaves nothing at its default, so each name is there and carries its own field.
    for (name, value) in written.as_object().unwrap() {
        assert_ne!(default[name], *value, "{name}");
    }
    let named = format!("{:?}", Config::default()).matches(": ").count();
    assert_eq!(written.as_object().unwrap().len(), named);
}

#[test]
fn no_limit_is_the_word_none_and_null_where_there_is_one() {
    assert_eq!(toml("max_per_host = 'none'").max_per_host, None);
    assert_eq!(toml("idle_timeout = 'none'").idle_timeout, None);
    assert_eq!(json(r#"{ "max_per_host": "none" }"#).max_per_host, None);
    assert_eq!(json(r#"{ "idle_timeout": null }"#).idle_timeout, None);
    assert_eq!(toml("heartbeat = 'none'").heartbeat, None);
    let written = toml::to_string(&unlimited()).unwrap();
    assert!(written.contains("max_lifetime = \"none\"\n"), "{written}");
}

#[test]
fn times_are_read_as_people_write_them() {
    for (words, time) in [
        ("90s", secs(90)),
        ("30m", secs(30 * 60)),
        ("1h 30m", secs(90 * 60)),
        ("2 days", secs(2 * 24 * 3600)),
        ("250ms", Duration::from_millis(250)),
        ("0s", Duration::ZERO),
    ] {
        assert_eq!(toml(&format!("acquire_timeout = '{words}'")).acquire_timeout, Some(time));
    }
    let longest = Duration::MAX;
    let mut config = Config::default();
    config.max_lifetime = Some(longest);
    assert_eq!(toml(&toml::to_string(&config).unwrap()).max_lifetime, Some(longest));
}

#[test]
fn choices_are_words() {
    let config = toml("reuse = 'least_recent'\nspread = 'least_loaded'\nhealth_check = 'always'");
    assert_eq!(config.reuse, Reuse::LeastRecent);
    assert_eq!(config.spread, Spread::LeastLoaded);
    assert_eq!(config.health_check, HealthCheck::Always);
    let config = toml("health_check = { idle_for = '5s' }");
    assert_eq!(config.health_check, HealthCheck::IdleFor(secs(5)));
}

/// What is said of a file that cannot be read, in both formats: `name` with a value in JSON.
#[track_caller]
fn assert_refused(name: &str, value: &str, words: &str) {
    let error = serde_json::from_str::<Config>(&format!("{{ \"{name}\": {value} }}")).unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with(words), "{said}");
    let value: serde_json::Value = serde_json::from_str(value).unwrap();
    let Ok(text) = toml::to_string(&serde_json::Map::from_iter([(name.to_owned(), value)])) else {
        return; // TOML has no null.
    };
    let error = toml::from_str::<Config>(&text).unwrap_err();
    assert_eq!(error.message(), words);
}

#[test]
fn a_value_that_cannot_be_read_is_refused_by_name_and_value() {
    for (name, value, words) in [
        (
            "idle_timeout",
            "\"ninety\"",
            "idle_timeout: invalid value: string \"ninety\", expected a time such as \"90s\" or \
             \"250ms\", or \"none\"",
        ),
        (
            "idle_timeout",
            "90",
            "idle_timeout: invalid type: integer `90`, expected a time such as \"90s\" or \
             \"250ms\", or \"none\"",
        ),
        // Months, to the parser; a person who writes it means minutes.
        (
            "idle_timeout",
            "\"30M\"",
            "idle_timeout: invalid value: string \"30M\", expected a time such as \"90s\" or \
             \"250ms\", or \"none\"",
        ),
        (
            "ping_timeout",
            "\"0\"",
            "ping_timeout: invalid value: string \"0\", expected a time such as \"90s\" or \
             \"250ms\", or \"none\"",
        ),
        (
            "max_per_host",
            "-1",
            "max_per_host: invalid value: integer `-1`, expected a count, or \"none\"",
        ),
        (
            "max_per_host",
            "\"ten\"",
            "max_per_host: invalid type: string \"ten\", expected a count, or \"none\"",
        ),
        (
            "max_per_host",
            "1.5",
            "max_per_host: invalid type: floating point `1.5`, expected a count, or \"none\"",
        ),
        (
            "initial_per_host",
            "\"none\"",
            "initial_per_host: invalid type: string \"none\", expected a count",
        ),
        (
            "health_check",
            "\"sometimes\"",
            "health_check: unknown variant `sometimes`, expected one of `as_needed`, \
             `never`, `always`, `idle_for`",
        ),
        (
            "heartbeat",
            "{ \"every\": \"soon\" }",
            "heartbeat: every: invalid value: string \"soon\", expected a time such as \"90s\" or \
             \"250ms\"",
        ),
        (
            "retry",
            "{ \"factor\": \"two\" }",
            "retry: factor: invalid type: string \"two\", expected f64",
        ),
    ] {
        assert_refused(name, value, words);
    }
}

#[test]
fn an_unknown_setting_is_refused_by_name() {
    let error = toml::from_str::<Config>("max_per_hots = 5").unwrap_err();
    let words = "unknown field `max_per_hots`, expected one of `max_per_host`, `initial_per_host`";
    assert!(error.message().starts_with(words), "{error}");
    assert_refused(
        "heartbeat",
        "{ \"evry\": \"20s\" }",
        "heartbeat: unknown field `evry`, expected one of `every`, `timeout`, `max_missed`",
    );
}

#[test]
fn a_setting_is_set_once() {
    let twice = r#"{ "max_idle": 5, "max_idle": 6 }"#;
    let error = serde_json::from_str::<Config>(twice).unwrap_err();
    assert!(error.to_string().starts_with("`max_idle` is set twice"), "{error}");
}

#[test]
fn an_error_shows_the_place_in_the_file() {
    let error = toml::from_str::<Config>("max_idle = 5\nidle_timeout = 'ninety'").unwrap_err();
    assert!(error.to_string().contains("line 2, column 16"), "{error}");
}

#[test]
fn it_can_be_a_part_of_a_programs_own_settings() {
    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Program {
        listen: String,
        database: Config,
    }
    let text = "listen = ':80'\n[database]\nmax_per_host = 5\n[database.heartbeat]\nevery = '9s'";
    let program: Program = toml::from_str(text).unwrap();
    assert_eq!(program.database.max_per_host, Some(5));
    assert_eq!(program.database.heartbeat, Some(Heartbeat::every(secs(9))));
    let again: Program = toml::from_str(&toml::to_string(&program).unwrap()).unwrap();
    assert_eq!(again, program);
}

/// As documented: a table of its own is better.
#[test]
fn flattened_it_is_read_and_unknown_names_are_passed_over() {
    #[derive(Debug, Deserialize)]
    struct Program {
        listen: String,
        #[serde(flatten)]
        pool: Config,
    }
    let text = "listen = ':80'\nmax_per_host = 5\nidle_timeout = '9s'\nmax_per_hots = 6";
    let program: Program = toml::from_str(text).unwrap();
    assert_eq!((&*program.listen, program.pool.max_per_host), (":80", Some(5)));
    assert_eq!(program.pool.idle_timeout, Some(secs(9)));
    let wrong = toml::from_str::<Program>("listen = ':80'\nidle_timeout = 'soon'").unwrap_err();
    assert!(wrong.message().starts_with("idle_timeout: invalid value"), "{wrong}");
}

#[test]
fn a_setting_that_cannot_be_meant_is_refused_when_the_pool_is_built() {
    let connector = connector_fn(|()| async { Ok::<_, std::io::Error>(()) });
    let built = Pool::builder().config(toml("max_per_host = 0")).build(connector);
    assert_eq!(built.unwrap_err().field, "max_per_host");
}

#[test]
fn where_leases_go_is_for_shared_pools_only() {
    let config = toml("spread = 'least_loaded'");
    let builder = SharedPool::builder().config(config.clone());
    let said_twice = SharedPool::builder().spread(Spread::LeastLoaded);
    assert_eq!(format!("{builder:?}"), format!("{said_twice:?}"));
    let connector = connector_fn(|()| async { Ok::<_, std::io::Error>(()) });
    let error = Pool::builder().config(config).build(connector).unwrap_err();
    assert_eq!(error.to_string(), "spread is least_loaded: it is for a `SharedPool` only");
}

#[tokio::test]
async fn the_observer_stays() -> Result<(), Box<dyn Error>> {
    struct Dials(tokio::sync::mpsc::UnboundedSender<()>);
    impl Observer for Dials {
        fn dial_began(&self, _: &dyn std::fmt::Debug) {
            let _ = self.0.send(());
        }
    }
    let (seen, mut dials) = tokio::sync::mpsc::unbounded_channel();
    let connector = connector_fn(|()| async { Ok::<_, std::io::Error>(()) });
    let builder = Pool::builder().max_per_host(0).observer(Dials(seen)).config(Config::default());
    drop(builder.build(connector)?.acquire(&()).await?);
    assert!(dials.recv().await.is_some());
    Ok(())
}
