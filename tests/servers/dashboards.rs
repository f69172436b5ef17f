//! The dashboard and the alerts in `dashboards`: what they name is what the exporter prints, and their queries are valid.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use servers::package::PROMTOOL;
use wharf::metrics::{BUCKETS, Metrics};
use wharf::{Pool, connector_fn};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap()
}

/// The queries of the dashboard's panels, with values for its variables.
fn panels() -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(&text("wharf.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries.map(|query| query.replace("$pool", ".*").replace("$__rate_interval", "5m")).collect()
}

/// The words of this text that begin as the metrics and labels of a pool do.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("db_client_") || word.starts_with("wharf_")).collect()
}

/// What the exporter prints of a pool that has seen some trouble.
fn printed() -> String {
    let builder = PrometheusBuilder::new().with_recommended_naming(true);
    let times = Matcher::Suffix("_time".into());
    let recorder = builder.set_buckets_for_metric(times, BUCKETS).unwrap().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let metrics = Metrics::new("orders").per_host(true);
            let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
            let builder = Pool::builder().max_per_host(1).max_idle(1).observer(metrics.clone());
            let pool = builder.build(connector).unwrap();
            let loan = pool.acquire("db-1").await.unwrap();
            pool.acquire_within("db-1", Duration::ZERO).await.unwrap_err();
            drop(loan);
            metrics.report(&pool);
            // A close is told by its own task.
            pool.close().await;
        });
    });
    handle.render()
}

#[test]
fn all_that_is_named_is_what_the_exporter_prints() {
    let printed = printed();
    let printed = names(&printed);
    let tests = text("alerts_test.yml");
    // Without comments, which name other things.
    let alerts = text("alerts.yml");
    let alerts: String = alerts.lines().filter(|line| !line.starts_with('#')).collect();
    let queries = panels().join("\n");
    for (name, text) in [("wharf.json", &queries), ("alerts.yml", &alerts), ("its test", &tests)] {
        let unknown: Vec<_> = names(text).difference(&printed).copied().collect();
        assert!(unknown.is_empty(), "{name} names what nobody prints: {unknown:?}");
    }
    // And the other way: there is a panel for each metric.
    let series = printed.iter().map(|name| name.trim_end_matches("_bucket"));
    let labels = ["pool_name", "_state", "wharf_host", "_failure", "_reason", "_time_seconds"];
    let is_label = |name: &&str| labels.iter().any(|label| name.ends_with(label));
    let is_part = |name: &&str| name.ends_with("_sum") || name.ends_with("_seconds_count");
    for metric in series.filter(|name| !is_label(name) && !is_part(name)) {
        assert!(queries.contains(metric), "no panel shows {metric}");
    }
}

#[test]
fn each_alert_is_tested_and_in_the_guide() {
    let (alerts, tests) = (text("alerts.yml"), text("alerts_test.yml"));
    let guide = include_str!("../../src/guide/observability.md");
    let names: Vec<_> = alerts.lines().filter_map(|l| l.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        assert!(guide.contains(&format!("| `{name}` |")), "the guide does not explain {name}");
        assert!(tests.contains(&format!("# {name}: it fires.")), "{name} is not tested");
        assert!(tests.contains(&format!("# {name}: it does not.")), "{name} is not tested");
    }
}

#[track_caller]
fn promtool(arguments: &[&str], file: &Path) {
    let output = Command::new("promtool").args(arguments).arg(file).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_alerts_parse_and_fire_when_they_should() {
    if PROMTOOL.is_installed_or_skip() {
        promtool(&["check", "rules"], &file("alerts.yml"));
        promtool(&["test", "rules"], &file("alerts_test.yml"));
    }
}

#[test]
fn each_query_of_the_dashboard_is_valid() {
    if !PROMTOOL.is_installed_or_skip() {
        return;
    }
    // What records it takes any query.
    let mut rules = "groups:\n  - name: panels\n    rules:\n".to_owned();
    let queries = panels();
    assert!(queries.len() > 20, "{queries:?}");
    for (at, query) in queries.iter().enumerate() {
        let query = serde_json::to_string(query).unwrap();
        writeln!(rules, "      - record: panel:{at}\n        expr: {query}").unwrap();
    }
    let path = std::env::temp_dir().join(format!("wharf-panels-{}.yml", std::process::id()));
    fs::write(&path, rules).unwrap();
    promtool(&["check", "rules"], &path);
    fs::remove_file(path).unwrap();
}
