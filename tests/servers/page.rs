//! The page of a pool in a real browser: what it shows, that it refreshes itself, and that texts stay texts.
//!
//! `WHARF_ACCEPT=1` writes the picture of the page in `dashboards`.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use servers::browser;
use tokio::task::JoinSet;
use tokio::time::{advance, sleep};
use wharf::page::Snapshot;
use wharf::{Connector, Host, Pool, PooledConnection, async_trait};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Serves a page at `/pool`, and its data at `/pool.json`: the next of the list at each request, and the last one again
/// and again. Without data it answers 503.
struct Site {
    url: String,
    served: Arc<Mutex<Served>>,
}

struct Served {
    page: String,
    data: VecDeque<String>,
    requests: Vec<String>,
}

impl Site {
    fn new(page: String, data: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/pool", listener.local_addr().unwrap());
        let served = Served { page, data: data.into(), requests: Vec::new() };
        let site = Site { url, served: Arc::new(Mutex::new(served)) };
        let served = site.served.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, served) = (stream.unwrap(), served.clone());
                // A browser also opens connections in advance, and sends nothing.
                thread::spawn(move || {
                    if let Some(path) = path(&mut stream) {
                        let answer = served.lock().unwrap().answer(path);
                        // It may hang up before it has read everything.
                        let _ = stream.write_all(answer.as_bytes());
                    }
                });
            }
        });
        site
    }

    fn of(first: &Snapshot, data: Vec<String>) -> Self {
        Site::new(first.html("pool.json"), data)
    }

    /// The page as the browser shows it after some seconds.
    fn opened(&self) -> String {
        browser::document(&self.url)
    }

    /// The paths that were asked for.
    fn requests(&self) -> Vec<String> {
        self.served.lock().unwrap().requests.clone()
    }

    /// How often the page has refreshed itself.
    fn refreshes(&self) -> usize {
        self.requests().iter().filter(|path| *path == "/pool.json").count()
    }
}

impl Served {
    fn answer(&mut self, path: String) -> String {
        let (status, kind, body) = match (&*path, self.data.front()) {
            ("/pool", _) => ("200 OK", "text/html; charset=utf-8", self.page.clone()),
            ("/pool.json", Some(data)) => ("200 OK", "application/json", data.clone()),
            ("/pool.json", None) => ("503 Service Unavailable", "text/plain", String::new()),
            _ => ("404 Not Found", "text/plain", String::new()),
        };
        if path == "/pool.json" && self.data.len() > 1 {
            self.data.pop_front();
        }
        self.requests.push(path);
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    }
}

/// Reads a request, and returns its path: none if the browser has only opened the connection.
fn path(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(n) if n > 0 => request.extend_from_slice(&part[..n]),
            _ => return None,
        }
    }
    String::from_utf8(request).unwrap().split(' ').nth(1).map(str::to_owned)
}

/// A host that says how its dials fail is dead.
struct Servers;

#[async_trait]
impl Connector for Servers {
    type Key = String;
    type Connection = ();
    type Error = io::Error;

    async fn connect(&self, host: &String) -> io::Result<()> {
        match host.as_str() {
            "cache-2:6379" => Err(io::Error::from_raw_os_error(111)),
            "search:9200" => std::future::pending().await,
            host if host.contains("<b>") => Err(io::Error::other(host.to_owned())),
            _ => {
                sleep(Duration::from_millis(4)).await;
                Ok(())
            }
        }
    }
}

/// A shop: a leak on one host, with a crowd that waits for it, a dead host, a slow one, and two that are well.
struct Shop {
    pool: Pool<Servers>,
    _leaked: Vec<PooledConnection<Servers>>,
    _dead: Host<Servers>,
    tasks: JoinSet<()>,
}

impl Shop {
    async fn new() -> Self {
        let builder = Pool::builder().max_per_host(10).leak_after(secs(60)).advice(secs(10));
        let builder = builder.acquire_timeout(secs(600));
        let pool = builder.build(Servers).unwrap();
        let mut leaked = Vec::new();
        for _ in 0..9 {
            leaked.push(pool.acquire("reports:5432").label("monthly report").await.unwrap());
        }
        advance(secs(12 * 60)).await;
        let mut shop =
            Shop { _dead: pool.host("cache-2:6379"), pool, _leaked: leaked, tasks: JoinSet::new() };
        shop.traffic();
        sleep(secs(20)).await;
        shop
    }

    fn traffic(&mut self) {
        self.users("orders-1:5432", 8, Duration::from_millis(600));
        // Ten times a second.
        self.users("orders-2:5432", 1, Duration::from_millis(80));
        self.users("reports:5432", 13, Duration::from_millis(400));
        self.users("cache-1:6379", 2, Duration::from_millis(20));
        for host in ["cache-2:6379", "search:9200", "search:9200", "search:9200"] {
            let pool = self.pool.clone();
            self.tasks.spawn(async move {
                loop {
                    sleep(secs(3)).await;
                    let _ = pool.acquire(host).at_most(secs(2)).await;
                }
            });
        }
    }

    /// Tasks that use connections of a host, one after the other.
    fn users(&mut self, host: &'static str, users: u32, used: Duration) {
        for user in 0..users {
            let pool = self.pool.clone();
            self.tasks.spawn(async move {
                sleep(used * user / users).await;
                loop {
                    let connection = pool.acquire(host).await.unwrap();
                    sleep(used).await;
                    drop(connection);
                    sleep(used / 4).await;
                }
            });
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::new().pool("shop", &self.pool)
    }
}

/// What the page gets while it is open: data every two seconds.
async fn data(shop: &Shop) -> Vec<String> {
    let mut all = Vec::new();
    for nth in 0..20 {
        // Snapshots are taken at the time of the system's clock, which these tests do not wait for.
        let mut data: Value = serde_json::from_str(&shop.snapshot().json()).unwrap();
        data["taken_at"] = (1_800_000_000 + 2 * nth).into();
        all.push(data.to_string());
        sleep(secs(2)).await;
    }
    all
}

/// What stands in the document between its `main` tags.
fn main_of(document: &str) -> &str {
    let (_, rest) = document.split_once("<main>").unwrap();
    rest.split_once("</main>").unwrap().0
}

#[tokio::test(start_paused = true)]
async fn the_page_shows_a_leak_a_dead_host_and_a_crowd_and_refreshes_itself() {
    if !browser::is_installed_or_skip() {
        return;
    }
    let shop = Shop::new().await;
    let unused = Pool::builder().build(Servers).unwrap();
    // The page is served before anything has happened: what it shows later is from the data.
    let site = Site::of(&Snapshot::new().pool("shop", &unused), data(&shop).await);
    let document = site.opened();
    let shown = main_of(&document);
    for said in [
        "<strong>cache-2:6379</strong> cannot be dialed: Connection refused (os error 111), ",
        "9 loans have not ended within leak_after (1 min), acquired at tests/servers/page.rs:",
        "; longest held 12 min</li>",
        "callers wait: 10 of 10 in use, 0 idle, 0 dialing; longest held 12 min, acquired at ",
        "<th scope=\"row\">reports:5432</th>",
        "10 of 10 in use",
        "<td class=\"n alarm\">9</td>",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    // What happens per second is known from two snapshots.
    assert!(shown.contains("<small>10.0/s</small>"), "{shown}");
    assert!(document.contains("As of <time>2027-01-15 08:00:"), "{document}");
    assert!(document.contains(", every 2 s <button type=\"button\">Pause</button>"));
    assert!(site.refreshes() > 2);
    assert_eq!(site.requests().len(), 1 + site.refreshes());
}

#[tokio::test(start_paused = true)]
async fn the_script_shows_the_same_as_the_first_document() {
    if !browser::is_installed_or_skip() {
        return;
    }
    let shop = Shop::new().await;
    let (closed, unused) =
        (Pool::builder().build(Servers).unwrap(), Pool::builder().build(Servers).unwrap());
    drop(closed.acquire("orders-1:5432").await.unwrap());
    closed.close().await;
    let unlimited = Pool::builder().max_per_host(None).build(Servers).unwrap();
    let _held = unlimited.acquire("orders-1:5432").await.unwrap();
    let snapshot = shop.snapshot().pool("closed", &closed);
    let snapshot = snapshot.pool("unused", &unused).pool("unlimited", &unlimited);
    let still = Site::new(snapshot.html(None), Vec::new());
    let without = still.opened();
    assert!(!without.contains("<script") && still.refreshes() == 0);
    let site = Site::of(&snapshot, vec![snapshot.json()]);
    let with = site.opened();
    assert!(site.refreshes() > 2);
    assert_eq!(main_of(&with), main_of(&without));
}

/// Markup that would do something, in a key, an error, and the name of the pool.
const HOSTILE: &str = "<b>x</b></script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">";

#[tokio::test(start_paused = true)]
async fn a_key_with_a_script_in_it_stays_text() {
    if !browser::is_installed_or_skip() {
        return;
    }
    let pool = Pool::builder().build(Servers).unwrap();
    assert!(pool.acquire(HOSTILE).await.is_err());
    let snapshot = Snapshot::new().pool(HOSTILE, &pool);
    let site = Site::of(&snapshot, vec![snapshot.json()]);
    let document = site.opened();
    assert!(site.refreshes() > 2);
    let shown = main_of(&document);
    assert!(shown.contains("&lt;script&gt;document.title='taken'&lt;/script&gt;"), "{shown}");
    assert!(!shown.contains("<b>") && !shown.contains("<script") && !shown.contains("<img"));
    assert!(!document.contains("<title>taken"), "a script of a key ran");
    assert_eq!(site.requests().len(), 1 + site.refreshes());
}

#[tokio::test(start_paused = true)]
async fn a_page_whose_data_does_not_come_says_so() {
    if !browser::is_installed_or_skip() {
        return;
    }
    let shop = Shop::new().await;
    let site = Site::of(&shop.snapshot(), Vec::new());
    let document = site.opened();
    assert!(document.contains("Not refreshed since <time>"), "{document}");
    assert!(document.contains("</time>: HTTP 503 <button"), "{document}");
    assert!(main_of(&document).contains("10 of 10 in use"));
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// The document forbids every style and script but these.
#[test]
fn the_hashes_in_the_policy_are_those_of_the_style_and_the_script() {
    let source = fs::read_to_string(file("src/page/render.rs")).unwrap();
    for (name, constant) in [("page.css", "STYLE_HASH"), ("page.js", "SCRIPT_HASH")] {
        let hash = "sha256sum | cut -c1-64 | tr a-f A-F | basenc --base16 -d | base64";
        let text = fs::File::open(file("src/page").join(name)).unwrap();
        let output = Command::new("sh").args(["-c", hash]).stdin(text).output().unwrap();
        assert!(output.status.success());
        let hash = String::from_utf8(output.stdout).unwrap();
        let line = format!("const {constant}: &str = \"sha256-{}\";", hash.trim());
        assert!(source.contains(&line), "src/page/render.rs must say: {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_picture_of_the_page_is_small() {
    let picture = file("dashboards/page.png");
    if std::env::var_os("WHARF_ACCEPT").is_some() && browser::is_installed_or_skip() {
        let shop = Shop::new().await;
        let site = Site::of(&shop.snapshot(), data(&shop).await);
        browser::picture(&site.url, (1160, 1000), &picture);
    }
    let size = fs::metadata(picture).unwrap().len();
    assert!(size < 150_000, "{size} bytes");
}
