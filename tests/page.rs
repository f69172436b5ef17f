//! The page of a pool, as a document and as data. In a browser it is tested in `tests/servers/page.rs`.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use wharf::connector::Redacted;
use wharf::page::{self, Snapshot};
use wharf::{Connector, Pool, PooledConnection, SharedConnector, SharedPool, async_trait};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Dials every host, except those whose key says how that fails. Keys are shown as URLs without their secrets.
struct Servers;

#[async_trait]
impl Connector for Servers {
    type Key = String;
    type Connection = Arc<()>;
    type Error = io::Error;

    async fn connect(&self, host: &String) -> io::Result<Arc<()>> {
        match host.split_once(" fails: ") {
            Some((_, error)) => Err(io::Error::other(error.to_owned())),
            None => Ok(Arc::default()),
        }
    }

    fn fmt_key(&self, host: &String, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(!host.starts_with("panics"), "the Debug of this key panics");
        fmt::Debug::fmt(&Redacted(host), f)
    }
}

impl SharedConnector for Servers {
    fn max_leases(&self, _: &Arc<()>) -> usize {
        10
    }
}

fn pool(max: usize) -> Pool<Servers> {
    Pool::builder().max_per_host(max).leak_after(secs(60)).build(Servers).unwrap()
}

async fn fail(pool: &Pool<Servers>, host: &str) {
    let result = pool.acquire(host).await;
    assert!(result.is_err());
}

/// Callers that wait until this is dropped.
async fn crowd(pool: &Pool<Servers>, host: &'static str, callers: usize) -> JoinSet<()> {
    let mut waiting = JoinSet::new();
    for _ in 0..callers {
        let pool = pool.clone();
        waiting.spawn(async move {
            let _loan = pool.acquire(host).at_most(secs(100_000)).await.unwrap();
        });
    }
    while pool.host(host).status().waiting < callers {
        tokio::task::yield_now().await;
    }
    waiting
}

fn data(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// The data of the one pool.
fn view(pool: &Pool<Servers>) -> Value {
    data(&page::json(pool))["pools"][0].take()
}

fn notes(pool: &Pool<Servers>) -> Vec<String> {
    let view = view(pool);
    let notes = view["notes"].as_array().unwrap().iter();
    let said = |note: &Value| match note["host"].as_str() {
        Some(host) => format!("{host} {}", note["text"].as_str().unwrap()),
        None => note["text"].as_str().unwrap().to_owned(),
    };
    notes.map(said).collect()
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_can_be_taken_in_one_thread_and_shown_in_another() {
    let pool = pool(5);
    let taken = tokio::task::spawn_blocking(move || Snapshot::of(&pool)).await.unwrap();
    assert!(taken.html(None).contains("The pool knows no host yet."));
}

#[tokio::test(start_paused = true)]
async fn the_page_is_complete_without_a_script() {
    let pool = pool(5);
    let _held = pool.acquire("db-1").await.unwrap();
    drop(pool.acquire("db-2").await.unwrap());
    tokio::time::advance(secs(12)).await;
    let html = page::html(&pool, None);
    assert!(!html.contains("<script"), "a page that does not refresh itself has no script");
    assert!(!html.contains("data-json"));
    for said in [
        "<title>Connection pool</title>",
        "No caller waits, and every host can be dialed.",
        "<th scope=\"row\">db-1</th>",
        "<span>1 of 5 in use</span>",
        "<span>0 of 5 in use, 1 idle</span>",
        "<th scope=\"row\">tests/page.rs:",
        "<td class=\"n\">12.0 s</td>",
        "<th scope=\"row\">acquire_timeout</th><td>30s</td>",
    ] {
        assert!(html.contains(said), "{said}: {html}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_page_needs_nothing_from_elsewhere() {
    let html = page::html(&pool(5), "pool.json");
    for tag in [" src=", "@import", "//cdn", "http-equiv=\"refresh\""] {
        assert!(!html.contains(tag), "{tag}");
    }
    // The name of the namespace of SVG, and the icon that is none.
    assert_eq!(html.matches("http://").count(), html.matches("http://www.w3.org/2000/svg").count());
    assert!(!html.contains("https://"));
    assert_eq!(html.matches("href=").count(), html.matches("href=\"data:,\"").count());
}

#[tokio::test(start_paused = true)]
async fn the_data_has_the_figures_of_the_pool() {
    let pool = pool(5);
    let held = pool.acquire("db-1").await.unwrap();
    fail(&pool, "cache fails: connection refused").await;
    tokio::time::advance(secs(3)).await;
    let view = view(&pool);
    assert_eq!((&view["name"], &view["closed"]), (&Value::Null, &Value::Bool(false)));
    assert_eq!(view["status"], serde_json::to_value(pool.status()).unwrap());
    assert_eq!(view["loans"], serde_json::to_value(pool.loans()).unwrap());
    assert_eq!(view["config"], serde_json::to_value(pool.config()).unwrap());
    assert_eq!(view["failing_hosts"], 1);
    let hosts = view["hosts"].as_array().unwrap();
    let keys: Vec<_> = hosts.iter().map(|host| host["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["\"cache fails: connection refused\"", "\"db-1\""]);
    assert_eq!(hosts[0]["last_dial_error"]["message"], "connection refused");
    assert_eq!(hosts[0]["last_dial_error"]["age"], 3.0);
    assert_eq!(hosts[1]["last_dial_error"], Value::Null);
    let status = pool.host("db-1").status();
    assert_eq!(hosts[1]["status"], serde_json::to_value(status).unwrap());
    let place = &view["places"][0];
    assert_eq!(place["place"], pool.loans()[0].place.to_string());
    assert_eq!((&place["loans"], &place["leaked"]), (&1.into(), &0.into()));
    assert_eq!(place["longest"], 3.0);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_dead_host_is_named_with_its_error_until_it_can_be_dialed() {
    let pool = pool(5);
    let host = pool.host("cache fails: connection refused");
    fail(&pool, host.key()).await;
    tokio::time::advance(secs(12)).await;
    let note =
        "\"cache fails: connection refused\" cannot be dialed: connection refused, 12.0 s ago";
    assert_eq!(notes(&pool), [note]);
    assert_eq!(host.last_dial_error().unwrap().age, secs(12));
    let html = page::html(&pool, None);
    assert!(html.contains("<td class=\"error\">connection refused<small>12.0 s ago</small></td>"));
}

#[tokio::test(start_paused = true)]
async fn a_leak_is_named_with_its_line_of_code() {
    let pool = pool(5);
    let mut held: Vec<PooledConnection<Servers>> = Vec::new();
    for _ in 0..3 {
        held.push(pool.acquire("db-1").await.unwrap());
    }
    let place = pool.loans()[0].place.to_string();
    assert_eq!(notes(&pool), Vec::<String>::new());
    tokio::time::advance(secs(12 * 60)).await;
    let _young = pool.acquire("db-1").await.unwrap();
    let note = format!(
        "3 loans have not ended within leak_after (1 min), acquired at {place}; longest held 12 min"
    );
    assert_eq!(notes(&pool), [note]);
    assert_eq!((&view(&pool)["places"][0]["leaked"], held.len()), (&3.into(), 3));
}

#[tokio::test(start_paused = true)]
async fn a_crowd_is_named_with_what_it_waits_for() {
    let builder = Pool::builder().max_per_host(5).max_total(2);
    let pool = builder.build(Servers).unwrap();
    let held = pool.acquire("db-1").await.unwrap();
    let place = pool.loans()[0].place.to_string();
    let _other = pool.acquire("db-2").await.unwrap();
    tokio::time::advance(secs(2)).await;
    let _waiting = crowd(&pool, "db-1", 3).await;
    let note = format!(
        "\"db-1\" 3 callers wait: 1 of 5 in use, 0 idle, 0 dialing; longest held 2.0 s, acquired at {place}; max_total (2) is reached"
    );
    assert_eq!(notes(&pool), [note]);
    assert!(page::html(&pool, None).contains("<td class=\"n alarm\">3</td>"));
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_closed_pool_says_what_it_waits_for() {
    let pool = pool(5);
    let held = pool.acquire("db-1").await.unwrap();
    drop(pool.close());
    assert_eq!(notes(&pool), ["The pool is closed, and waits for 1 loan."]);
    drop(held);
    pool.close().await;
    assert_eq!(notes(&pool), ["The pool is closed."]);
    assert!(page::html(&pool, None).contains("<small>closed</small>"));
}

#[tokio::test(start_paused = true)]
async fn the_pools_advice_is_a_sentence_and_figures() {
    let builder = Pool::builder().max_per_host(50).advice(secs(60));
    let pool = builder.build(Servers).unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..9000 {
        let pool = pool.clone();
        callers.spawn(async move {
            let _loan = pool.acquire("db-1").await.unwrap();
            tokio::time::sleep(Duration::from_millis(95)).await;
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (_, advice) = pool.advice().remove(0);
    let shown = view(&pool)["hosts"][0]["advice"].take();
    assert_eq!((&shown["text"], &shown["kind"]), (&advice.to_string().into(), &"too_large".into()));
    assert_eq!(shown["max"], 50);
    assert!(page::html(&pool, None).contains(&format!("<strong>db-1</strong> {advice}</li>")));
}

/// Markup, the end of a script, and the marks of the document itself.
const HOSTILE: &str = "</script><script>alert('x')</script><!--\"{pools}{script}";

#[tokio::test(start_paused = true)]
async fn keys_errors_names_and_urls_stay_text() {
    let pool = pool(5);
    fail(&pool, &format!("a fails: {HOSTILE}")).await;
    let _held = pool.acquire(HOSTILE).await.unwrap();
    let snapshot = Snapshot::new().pool(HOSTILE, &pool);
    let html = snapshot.html(HOSTILE);
    assert!(html.contains("&lt;/script&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&lt;!--"));
    // The data and the code, and nothing else.
    assert_eq!((html.matches("<script").count(), html.matches("</script>").count()), (2, 2));
    assert!(!html.contains("<!--"));
    let begin = html.find("id=\"data\">").unwrap() + "id=\"data\">".len();
    let embedded = html[begin..].split("</script>").next().unwrap();
    assert_eq!(data(embedded), data(&snapshot.json()));
    let view = &data(embedded)["pools"][0];
    assert_eq!(view["name"], HOSTILE);
    assert_eq!(view["hosts"][1]["last_dial_error"]["message"], HOSTILE);
    assert_eq!(view["loans"][0]["key"], format!("{HOSTILE:?}"));
}

#[tokio::test(start_paused = true)]
async fn secrets_are_neither_on_the_page_nor_in_the_data() {
    let pool = pool(1);
    let url = "amqp://app:hunter2@queue.example/orders?token=hunter2";
    let _held = pool.acquire(url).await.unwrap();
    let _waiting = crowd(&pool, url, 1).await;
    fail(&pool, "amqp://app:hunter2@dead.example/ fails: refused").await;
    let snapshot = Snapshot::new().pool("queues", &pool);
    for text in [snapshot.html("pool.json"), snapshot.html(None), snapshot.json()] {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("amqp://***@queue.example/orders?***"));
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_hosts_those_with_something_to_see_are_shown_and_the_others_counted() {
    let pool = pool(2);
    for n in 0..5000 {
        pool.add(&format!("idle-{n:04}"), Arc::default()).unwrap();
    }
    let mut held = Vec::new();
    for n in 0..300 {
        held.push(pool.acquire(&format!("used-{n:03}")).await.unwrap());
    }
    held.push(pool.acquire("crowd").await.unwrap());
    held.push(pool.acquire("crowd").await.unwrap());
    let _waiting = crowd(&pool, "crowd", 5).await;
    fail(&pool, "dead fails: refused").await;
    let snapshot = Snapshot::new().pool("many", &pool);
    let view = data(&snapshot.json())["pools"][0].take();
    let hosts = view["hosts"].as_array().unwrap();
    let keys: Vec<_> = hosts.iter().map(|host| host["key"].as_str().unwrap()).collect();
    assert_eq!((keys.len(), &view["more_hosts"]), (100, &5202.into()));
    assert_eq!(keys[..2], ["\"crowd\"", "\"dead fails: refused\""]);
    assert!(keys[2..].iter().all(|key| key.starts_with("\"used-")), "{keys:?}");
    assert!(keys.is_sorted());
    let loans = view["loans"].as_array().unwrap();
    assert_eq!((loans.len(), &view["more_loans"]), (100, &202.into()));
    let html = snapshot.html("pool.json");
    assert!(html.contains("and 5,202 less busy hosts"));
    assert!(html.contains("302 loans, the longest held first"));
    assert!(html.contains("and 202 more loans"));
    assert!(html.len() < 300_000, "{} bytes", html.len());
}

#[tokio::test(start_paused = true)]
async fn of_many_dead_hosts_a_few_are_named_and_the_others_counted() {
    let pool = pool(2);
    for n in 0..150 {
        fail(&pool, &format!("dead-{n} fails: refused")).await;
    }
    let view = view(&pool);
    let notes = view["notes"].as_array().unwrap();
    assert_eq!((&view["failing_hosts"], notes.len()), (&150.into(), 7));
    assert_eq!(view["more_notes"], 143);
    assert!(page::html(&pool, None).contains("<li class=\"more\">and 143 more</li>"));
}

#[tokio::test(start_paused = true)]
async fn a_long_key_and_a_long_error_are_cut() {
    let pool = pool(2);
    let long = "ä".repeat(100_000);
    fail(&pool, &format!("dead fails: {long}")).await;
    let _held = pool.acquire(&long).await.unwrap();
    let cut = "ä".repeat(499);
    let html = page::html(&pool, "pool.json");
    assert!(html.contains(&cut) && !html.contains(&"ä".repeat(501)));
    assert!(html.len() < 100_000, "{} bytes", html.len());
}

#[tokio::test(start_paused = true)]
async fn pools_of_both_kinds_are_on_one_page_by_name() -> Result<(), Box<dyn Error>> {
    let (orders, calls) = (pool(5), SharedPool::builder().max_per_host(2).build(Servers)?);
    let _loan = orders.acquire("db-1").await?;
    let (_one, _two) = (calls.acquire("api").await?, calls.acquire("api").await?);
    let snapshot = Snapshot::new().pool("orders", &orders).pool("calls", &calls);
    let html = snapshot.html(None);
    assert!(html.contains("<title>orders, calls</title>"));
    assert!(html.contains("<h2>orders</h2>") && html.contains("<h2>calls</h2>"));
    assert!(html.contains("<span>1 of 2 in use, 2 leases</span>"));
    let pools = data(&snapshot.json())["pools"].take();
    assert_eq!((&pools[0]["name"], &pools[1]["name"]), (&"orders".into(), &"calls".into()));
    assert_eq!(pools[1]["status"]["leases"], 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_host_without_a_cap_has_a_bar_and_no_cap() {
    let pool = Pool::builder().max_per_host(None).build(Servers).unwrap();
    let _held = pool.acquire("db-1").await.unwrap();
    let html = page::html(&pool, None);
    assert!(html.contains("<span>1 in use</span>"));
    assert!(html.contains("<rect class=\"in-use\" x=\"0%\" width=\"100%\">"));
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_was_never_used_has_a_page() {
    let html = page::html(&pool(5), "pool.json");
    assert!(
        html.contains("The pool knows no host yet.") && html.contains("No connection is lent.")
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_debug_panics_does_not_take_the_page_away() {
    let pool = pool(5);
    let _held = pool.acquire("panics").await.unwrap();
    assert!(page::html(&pool, None).contains("a key whose Debug panics"));
}
