//! A live page of your pools for those who run them (feature `page`).
//!
//! [`html`] makes one document that needs nothing else: no file, no script from elsewhere. It shows
//!
//! - what is wrong, in sentences: hosts that cannot be dialed, with the error and its age; loans that were not
//!   returned within [`leak_after`](crate::Builder::leak_after), with the line that acquired them; callers that wait;
//! - each host: connections in use, idle and being dialed, and the cap, as a bar and in words; waiting callers, acquires,
//!   the mean wait, time-outs, failed dials;
//! - what the pool advises, with [`advice`](crate::Builder::advice);
//! - who holds connections: by line of code, and one by one, the longest held first;
//! - why connections were closed, and all settings.
//!
//! [`json`] has the same data. If the document knows the route of that JSON, it refreshes itself from it every two
//! seconds while it is visible, and adds what happened per second. Without a route it has no script: write it to a file.
//! Everything is said in words, too: nobody needs to tell colours apart. The page follows the reader's choice of a dark or
//! a light scheme.
//!
//! # Examples
//!
//! Two routes, here of axum; any server will do:
//!
//! ```text
//! Router::new()
//!     .route("/pool", get(|State(pool): State<MyPool>| async move { Html(wharf::page::html(&pool, "pool.json")) }))
//!     .route("/pool.json", get(|State(pool): State<MyPool>| async move {
//!         ([(CONTENT_TYPE, "application/json")], wharf::page::json(&pool))
//!     }))
//! ```
//!
//! The example `web_service` has both, in [`guide::web_service`](crate::guide::web_service). A file, of several pools:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use wharf::page::Snapshot;
//! use wharf::{Pool, connector_fn};
//!
//! # let connector = || connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
//! let orders = Pool::builder().max_per_host(5).build(connector())?;
//! let search = Pool::builder().max_per_host(20).build(connector())?;
//! let _held = orders.acquire("db-1").await?;
//!
//! let snapshot = Snapshot::new().pool("orders", &orders).pool("search", &search);
//! let page = std::env::temp_dir().join(format!("pools-{}.html", std::process::id()));
//! std::fs::write(&page, snapshot.html(None))?;
//! # let text = std::fs::read_to_string(&page)?;
//! # std::fs::remove_file(page)?;
//! # assert!(text.contains("1 of 5 in use"));
//! # Ok(()) }
//! ```
//!
//! # It must not be public
//!
//! The page names your servers and lines of your code. Serve it where only operators come: on an internal address, or
//! behind the guard of your metrics. It changes nothing in the pool.
//!
//! A key is shown as [`Connector::fmt_key`] writes it, as in the log, and so are errors of
//! dials: secrets that these leave out are not on the page. Everything is escaped, and a policy in the document
//! (`Content-Security-Policy`) forbids every script and style but its own, and requests to other origins. So the JSON
//! must come from the same origin. If your server sends such a policy itself, it must allow inline styles and scripts.
//!
//! # Limits
//!
//! At most 100 hosts of each pool are shown: those with the most waiting callers first, then those that cannot be
//! dialed, then those with the most connections in use. So are the 100 loans that are held longest, and the 30 lines of
//! code that hold most. The page says how many more there are. Keys and errors are cut after 500 characters.
//!
//! Making a snapshot waits for nothing, but visits every host and every loan: with 100,000 of each this takes a few
//! tenths of a second. With that many, make it in [`spawn_blocking`](tokio::task::spawn_blocking). An open page spends at
//! most a tenth of its time on refreshing: where an answer takes long, it asks less often.
//!
//! # The JSON
//!
//! `taken_at` is the time of the snapshot, in seconds since 1970, and `pools` is a list. Each pool has
//!
//! | name | value |
//! | --- | --- |
//! | `name` | the name, or null |
//! | `closed` | whether it is closed |
//! | `status` | [`PoolStatus`](crate::PoolStatus) |
//! | `failing_hosts` | how many hosts cannot be dialed: their last dial failed |
//! | `notes` | what is wrong: `text`, and the `host` or null |
//! | `hosts` | `key`, `status` ([`HostStatus`](crate::HostStatus)), `advice` ([`Advice`](crate::Advice), and its `text`) or null, `last_dial_error` (`message`, `age`) or null |
//! | `places` | for each line of code that holds connections: `place`, `loans`, `leaked` (how many were not returned within `leak_after`), `longest` |
//! | `loans` | [`LoanInfo`](crate::LoanInfo) |
//! | `config` | [`Config`](crate::Config) |
//! | `more_hosts`, `more_places`, `more_loans`, `more_notes` | how many are left out |
//!
//! Times are seconds. Names may be added in a minor version.

mod node;
mod notes;
mod render;
mod snapshot;
mod words;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use self::snapshot::PoolView;
use crate::policy::connector::Connector;
use crate::policy::shared_connector::SharedConnector;
use crate::pool::erased::Erase;
use crate::pool::pool::Pool;
use crate::pool::shared::SharedPool;

/// Returns the page of one pool: see the [module](self).
///
/// `json` is the URL of a route that answers with [`json`](json()) of the same pool, as the browser will resolve it:
/// `"pool.json"` for a page at `/pool` means `/pool.json`. With `None` the page does not refresh itself.
pub fn html<'a>(pool: &impl Showable, json: impl Into<Option<&'a str>>) -> String {
    Snapshot::of(pool).html(json)
}

/// Returns the data of the [page](html) of one pool.
pub fn json(pool: &impl Showable) -> String {
    Snapshot::of(pool).json()
}

/// Pools at one moment: for a page with several of them, or in another format.
#[derive(Debug, Serialize)]
pub struct Snapshot {
    /// In seconds since 1970.
    taken_at: f64,
    pools: Vec<PoolView>,
}

impl Snapshot {
    /// Takes a snapshot of one pool, without a name.
    pub fn of(pool: &impl Showable) -> Self {
        Snapshot::new().with(None, pool)
    }

    /// Makes one without a pool yet: add them with [`pool`](Snapshot::pool).
    #[allow(clippy::new_without_default)] // It has a time.
    pub fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Snapshot { taken_at: since.as_secs_f64(), pools: Vec::new() }
    }

    /// Adds a pool as it is now, under a name, which should be unique on the page.
    pub fn pool(self, name: &str, pool: &impl Showable) -> Self {
        self.with(Some(name), pool)
    }

    fn with(mut self, name: Option<&str>, pool: &impl Showable) -> Self {
        self.pools.push(PoolView::of(name, &*pool.erased().0));
        self
    }

    /// Returns the page: see [`html`](html()).
    pub fn html<'a>(&self, json: impl Into<Option<&'a str>>) -> String {
        render::document(self, json.into())
    }

    /// Returns the data of the page.
    #[allow(clippy::missing_panics_doc)] // There is none.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a snapshot has texts and numbers only")
    }
}

/// A pool that the page can show: a [`Pool`] or a [`SharedPool`].
pub trait Showable: Erase {}

impl<C: Connector> Showable for Pool<C> {}
impl<C: SharedConnector> Showable for SharedPool<C> {}
