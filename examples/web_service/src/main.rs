//! A web service with a pool of PostgreSQL connections: queries with a limit, metrics, a page of the pool, readiness,
//! and a shutdown that names the connections it waits for.
//!
//! ```text
//! DATABASE_URL=postgres://app@localhost/shop cargo run -p example-web-service --bin web_service
//! ```
//!
//! It listens on 127.0.0.1:8080, for operators on 127.0.0.1:9090, and runs until SIGTERM or Ctrl-C.

use std::error::Error;
use std::future::IntoFuture;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use axum::{Router, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use wharf::metrics::{BUCKETS, Metrics};
use wharf::{AcquireError, CloseReport, Host, Pool, page};
use wharf_postgres::{Error as PostgresError, PostgresConnector};

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// How long a request may wait for a connection, and then for its answer.
const ACQUIRE: Duration = Duration::from_secs(1);
const QUERY: Duration = Duration::from_secs(2);
/// How long the shutdown may wait for requests, and then for connections. Kubernetes kills after 30 s.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().init();
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    // What is shown here names servers and lines of code: never bind it to a public address.
    let operators = TcpListener::bind("127.0.0.1:9090").await?;
    let report = serve(listener, operators, &std::env::var("DATABASE_URL")?, GRACE).await?;
    if report.complete { Ok(()) } else { Err("connections were still out at the end".into()) }
}

#[derive(Clone)]
struct App {
    shop: Host<PostgresConnector>,
    exporter: PrometheusHandle,
}

/// Serves until a signal comes. The report has the connections that are still out after two times `grace`.
pub(crate) async fn serve(
    listener: TcpListener,
    operators: TcpListener,
    database: &str,
    grace: Duration,
) -> Result<CloseReport, Failure> {
    // Subscribe first, so that no signal is lost.
    let signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let exporter = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets_for_metric(Matcher::Suffix("_time".into()), BUCKETS)?
        .install_recorder()?;
    let pool = pool(database)?;
    let app = App { shop: pool.host(&()), exporter };
    let router = Router::new()
        .route("/double/{n}", get(double))
        .route("/slow/{seconds}", get(slow))
        .route("/ready", get(ready))
        .with_state(app.clone());
    let operators = tokio::spawn(axum::serve(operators, for_operators(app)).into_future());

    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(server.into_future());
    any_of(signals).await;
    tracing::info!("stopping");
    drop(stop);
    let report = end(server, &pool, grace).await;
    operators.abort(); // Until now they could see what the shutdown waits for.
    Ok(report)
}

/// Metrics, and the page of the pool with its data.
fn for_operators(app: App) -> Router {
    Router::new()
        .route("/metrics", get(|State(app): State<App>| async move { app.exporter.render() }))
        .route("/pool", get(show_pool))
        .route("/pool.json", get(pool_as_json))
        .with_state(app)
}

async fn show_pool(State(app): State<App>) -> Html<String> {
    Html(page::html(&app.shop.pool(), "pool.json"))
}

async fn pool_as_json(State(app): State<App>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], page::json(&app.shop.pool()))
}

fn pool(database: &str) -> Result<Pool<PostgresConnector>, Failure> {
    let metrics = Metrics::new("shop");
    let pool = Pool::builder()
        .max_per_host(10)
        .acquire_timeout(ACQUIRE)
        .max_waiters_per_host(100) // Beyond that a request fails at once.
        .leak_after(Duration::from_secs(60))
        .slow_acquire(Duration::from_millis(500))
        .observer(metrics.clone())
        .build(database.parse::<PostgresConnector>()?)?;
    tokio::spawn(metrics.report_every(Duration::from_secs(5), &pool));
    Ok(pool)
}

async fn any_of([mut terminate, mut interrupt]: [Signal; 2]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Finishes the requests that are under way first: they still need the pool.
async fn end<T>(
    server: tokio::task::JoinHandle<T>,
    pool: &Pool<PostgresConnector>,
    grace: Duration,
) -> CloseReport {
    if timeout(grace, server).await.is_err() {
        tracing::warn!("some requests have not ended");
    }
    let report = pool.close_within(grace).await;
    for loan in &report.loans {
        tracing::error!(held = ?loan.held, place = %loan.place, "a connection is still out");
    }
    report
}

async fn double(State(app): State<App>, Path(n): Path<i64>) -> Result<String, NoAnswer> {
    // A query that is cut off is cancelled in the server, and its connection is lent again.
    let answer = timeout(ACQUIRE + QUERY, ask(&app.shop, n)).await;
    Ok(answer.map_err(|_| NoAnswer::TooSlow)??.to_string())
}

/// `?` works for both: the acquire and the query.
async fn ask(shop: &Host<PostgresConnector>, n: i64) -> Result<i64, AcquireError<PostgresError>> {
    let connection = shop.acquire().await?;
    let row = connection.query_one_cached("SELECT 2 * $1::int8", &[&n]).await;
    let row = row.map_err(PostgresError::from)?;
    Ok(row.get(0))
}

/// A query without a limit: the shutdown has to wait for it.
async fn slow(State(app): State<App>, Path(seconds): Path<f64>) -> Result<String, NoAnswer> {
    let connection = app.shop.acquire().await?;
    connection
        .query_one_cached("SELECT pg_sleep($1)", &[&seconds])
        .await
        .map_err(|error| AcquireError::from(PostgresError::from(error)))?;
    Ok("at last".to_owned())
}

/// Whether requests can be served now. It shares the pool's queue with them, on purpose.
async fn ready(State(app): State<App>) -> Result<&'static str, NoAnswer> {
    drop(app.shop.acquire_within(Duration::from_millis(500)).await?);
    Ok("ready")
}

/// Why a request has no answer.
enum NoAnswer {
    Database(AcquireError<PostgresError>),
    TooSlow,
}

impl From<AcquireError<PostgresError>> for NoAnswer {
    fn from(error: AcquireError<PostgresError>) -> Self {
        NoAnswer::Database(error)
    }
}

impl IntoResponse for NoAnswer {
    /// The log has the reason, in one line. The status tells the client whether to ask again.
    fn into_response(self) -> Response {
        let status = match &self {
            NoAnswer::TooSlow => StatusCode::GATEWAY_TIMEOUT,
            NoAnswer::Database(AcquireError::Borrower(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            NoAnswer::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        match self {
            NoAnswer::Database(error) => tracing::error!("{error}"),
            NoAnswer::TooSlow => tracing::error!("a query took too long"),
        }
        status.into_response()
    }
}
