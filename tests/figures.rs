//! Figures that are written for scripts and logs, with the feature `serde`: under the names of their fields, times in
//! seconds as numbers, and no limit as null. (Behaviour 144.)

use std::io;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use wharf::{AcquireError, AcquireFailure, Advice, CloseReason, Connector, HostStatus};
use wharf::{Pool, PoolStatus, PooledConnection, connector_fn};

fn json(figures: &impl Serialize) -> Value {
    serde_json::to_value(figures).unwrap()
}

/// The names that the `Debug` form of a struct shows at its top level.
fn fields(debug: &str) -> Vec<&str> {
    let top = debug.lines().filter_map(|line| line.strip_prefix("    "));
    let names = top.filter(|line| !line.starts_with([' ', '}', ']']));
    names.map(|line| line.split(':').next().unwrap()).collect()
}

fn assert_writes_every_field(written: &Value, debug: &str) {
    let mut names = fields(debug);
    names.sort_unstable();
    let written: Vec<_> = written.as_object().unwrap().keys().collect();
    assert_eq!(written, names);
    assert!(!names.is_empty());
}

/// Dials every host but `dead`.
fn pool(
    max: impl Into<Option<usize>>,
) -> Pool<impl Connector<Key = String, Connection = String, Error = io::Error>> {
    let connector = connector_fn(|host: String| async move {
        if host == "dead" { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(host) }
    });
    Pool::builder().max_per_host(max).build(connector).unwrap()
}

#[test]
fn a_pools_status_has_every_field_and_its_times_are_seconds() {
    let mut status = PoolStatus::default();
    (status.hosts, status.idle, status.dials) = (3, 2, 7);
    status.wait_time = Duration::from_millis(1500);
    status.dial_time = Duration::from_secs(90);
    let written = json(&status);
    assert_writes_every_field(&written, &format!("{status:#?}"));
    assert_eq!(written["hosts"], 3);
    assert_eq!(written["idle"], 2);
    assert_eq!(written["dials"], 7);
    assert_eq!(written["wait_time"], 1.5);
    assert_eq!(written["dial_time"], 90.0);
}

#[test]
fn a_hosts_status_has_its_cap_or_null() {
    let mut status = HostStatus::default();
    (status.max, status.waiting) = (5, 4);
    status.wait_time = Duration::from_micros(250);
    let written = json(&status);
    assert_writes_every_field(&written, &format!("{status:#?}"));
    assert_eq!((&written["max"], &written["waiting"]), (&json!(5), &json!(4)));
    assert_eq!(written["wait_time"], 0.00025);
    status.max = usize::MAX;
    assert_eq!(json(&status)["max"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn closes_are_counted_by_the_label_of_every_reason() {
    let pool = pool(5);
    for _ in 0..2 {
        PooledConnection::discard(pool.acquire("db-1").await.unwrap());
    }
    let written = json(&pool.status())["closes"].take();
    assert_eq!(written.as_object().unwrap().len(), CloseReason::ALL.len());
    for reason in CloseReason::ALL {
        let count = if *reason == CloseReason::Discarded { 2 } else { 0 };
        assert_eq!(written[reason.label()], count, "{reason:?}");
    }
}

#[test]
fn reasons_are_written_as_their_labels() {
    for reason in CloseReason::ALL {
        assert_eq!(json(reason), reason.label());
    }
    for failure in AcquireFailure::ALL {
        assert_eq!(json(failure), failure.label());
    }
}

#[tokio::test(start_paused = true)]
async fn a_loan_says_in_text_where_it_was_acquired() {
    let pool = pool(5);
    let _kept = pool.acquire("db-1").await.unwrap();
    tokio::time::advance(Duration::from_millis(2500)).await;
    let loan = pool.loans().remove(0);
    let place = loan.place.to_string();
    assert!(place.starts_with("tests/figures.rs:"), "{place}");
    assert_eq!(
        json(&loan),
        json!({ "key": "\"db-1\"", "id": loan.id, "held": 2.5, "place": place })
    );
}

#[tokio::test(start_paused = true)]
async fn the_figures_of_a_connection_are_written_in_seconds() {
    let pool = pool(5);
    drop(pool.acquire("db-1").await.unwrap());
    tokio::time::advance(Duration::from_millis(1500)).await;
    let loan = pool.acquire("db-1").await.unwrap();
    let info = PooledConnection::info(&loan);
    assert_eq!(
        json(&info),
        json!({ "id": info.id, "age": 1.5, "idle_for": 1.5, "uses": 2, "reused": true })
    );
}

#[tokio::test(start_paused = true)]
async fn the_report_of_a_close_has_the_loans_that_are_out() {
    let pool = pool(5);
    let _kept = pool.acquire("db-1").await.unwrap();
    let report = pool.close_within(Duration::from_secs(10)).await;
    let loans = json(&report.loans);
    assert_eq!(loans[0]["held"], 10.0);
    assert_eq!(
        json(&report),
        json!({ "loans": loans, "dialing": 0, "closing": 0, "complete": false })
    );
}

#[test]
fn every_kind_of_advice_is_written_with_its_label_and_its_figures() {
    let secs = Duration::from_secs;
    for (advice, written) in [
        (
            Advice::TooLarge { max: None, enough: 7, watched: secs(600) },
            json!({ "kind": "too_large", "max": null, "enough": 7, "watched": 600.0 }),
        ),
        (
            Advice::TooSmall { max: 5, enough: 9, mean_wait: Duration::from_millis(250) },
            json!({ "kind": "too_small", "max": 5, "enough": 9, "mean_wait": 0.25 }),
        ),
        (
            Advice::NotTheCap { max: 5, when_full: secs(2), when_few: secs(1) },
            json!({ "kind": "not_the_cap", "max": 5, "when_full": 2.0, "when_few": 1.0 }),
        ),
        (
            Advice::AlwaysFull { max: 5, next: 7 },
            json!({ "kind": "always_full", "max": 5, "next": 7 }),
        ),
        (
            Advice::CallersLeave { after: secs(1), acquire_timeout: Some(secs(30)) },
            json!({ "kind": "callers_leave", "after": 1.0, "acquire_timeout": 30.0 }),
        ),
        (
            Advice::CallersLeave { after: secs(1), acquire_timeout: None },
            json!({ "kind": "callers_leave", "after": 1.0, "acquire_timeout": null }),
        ),
    ] {
        assert_eq!(json(&advice), written);
        assert_eq!(written["kind"], advice.label());
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_out_is_written_with_its_causes() {
    let pool = pool(1);
    let _kept = pool.acquire("db-1").await.unwrap();
    let timed_out = pool.acquire("db-1").await.unwrap_err();
    let AcquireError::Timeout(report) = timed_out else { panic!("{timed_out}") };
    let written = json(&report);
    assert_writes_every_field(&written, &format!("{report:#?}"));
    assert_eq!((&written["key"], &written["phase"]), (&json!("\"db-1\""), &json!("queue")));
    assert_eq!((&written["waited"], &written["max"]), (&json!(30.0), &json!(1)));
    assert_eq!(written["loans"], json(&report.loans));
    assert_eq!(written["last_dial_error"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn the_last_dials_error_is_written_as_its_message() {
    let pool = pool(None);
    let _failed = pool.acquire("dead").await.unwrap_err();
    let timed_out = pool.acquire("dead").at_most(Duration::ZERO).await.unwrap_err();
    let AcquireError::Timeout(report) = timed_out else { panic!("{timed_out}") };
    assert_eq!(json(&report)["max"], Value::Null);
    assert_eq!(
        json(&report)["last_dial_error"],
        json!({ "message": "connection refused", "age": 0.0 })
    );
}
