//! The page as a document, complete without its script. `page.js` makes the same elements from the same data: a test
//! compares them in a browser.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Snapshot;
use super::node::{Node, element, escaped, in_script, text, words};
use super::notes::in_use;
use super::snapshot::{DialError, HostView, PoolView};
use super::words::{counted, label, number, time};
use crate::policy::close_reason::CloseReason;
use crate::pool::status::{HostStatus, PoolStatus};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// What the policy of the document allows. A test computes them.
const STYLE_HASH: &str = "sha256-5jXdwVDxgncdsUIPFy6CK6uxvVT3QjSmzUShcn3Uc68=";
const SCRIPT_HASH: &str = "sha256-aSsgQoetj+SntgP3QpzmyquMKoP6XFlBxDQH1T7JglY=";

/// Returns the whole document. Without a route of the JSON it has no script.
pub(super) fn document(snapshot: &Snapshot, json: Option<&str>) -> String {
    let names: Vec<_> = snapshot.pools.iter().map(name).collect();
    let title = escaped(&names.join(", "));
    let pools: String = snapshot.pools.iter().map(|view| pool(view).to_string()).collect();
    let taken_at = escaped(&taken_at(snapshot));
    let (url, script) = match json {
        None => (String::new(), String::new()),
        Some(url) => (format!(" data-json=\"{}\"", escaped(url)), script(snapshot)),
    };
    fill(&[
        ("{style-hash}", STYLE_HASH),
        ("{script-hash}", SCRIPT_HASH),
        ("{title}", &title),
        ("{style}", STYLE),
        ("{json}", &url),
        ("{heading}", &title),
        ("{taken-at}", &taken_at),
        ("{pools}", &pools),
        ("{script}", &script),
    ])
}

/// Puts values into the document, from its beginning to its end: a value that contains a mark stays as it is.
fn fill(values: &[(&str, &str)]) -> String {
    let (mut page, mut rest) = (String::new(), PAGE);
    for (mark, value) in values {
        let (before, after) = rest.split_once(mark).expect("the document has every mark, in order");
        page += before;
        page += value;
        rest = after;
    }
    page + rest
}

fn script(snapshot: &Snapshot) -> String {
    let data = in_script(&snapshot.json());
    format!(
        "<script type=\"application/json\" id=\"data\">{data}</script>\n<script>{SCRIPT}</script>\n"
    )
}

fn name(pool: &PoolView) -> &str {
    pool.name.as_deref().unwrap_or("Connection pool")
}

fn taken_at(snapshot: &Snapshot) -> String {
    let since = Duration::try_from_secs_f64(snapshot.taken_at).unwrap_or_default();
    let at = UNIX_EPOCH.checked_add(since).unwrap_or_else(SystemTime::now);
    let at = humantime::format_rfc3339_seconds(at).to_string();
    at.replace('T', " ").replace('Z', " UTC")
}

fn pool(pool: &PoolView) -> Node {
    let closed = pool.closed.then(|| words("small", "", "closed"));
    let title = element("h2", &[], [text(name(pool))].into_iter().chain(closed));
    let parts = [title, notes(pool), figures(&pool.status), hosts(pool)].into_iter();
    let parts = parts.chain(advice(pool)).chain([holders(pool)]).chain(loans(pool));
    element("section", &[], parts.chain([closes(&pool.status), settings(pool)]))
}

fn notes(pool: &PoolView) -> Node {
    if pool.notes.is_empty() {
        return words("p", "fine", "No caller waits, and every host can be dialed.");
    }
    let notes = pool.notes.iter().map(|note| sentence(note.host.as_deref(), &note.text));
    element("ul", &[("class", "notes")], notes.chain(more("li", pool.more_notes, "more")))
}

/// A sentence about a host, or about the pool.
fn sentence(host: Option<&str>, said: &str) -> Node {
    let host = host.map(|key| words("strong", "", label(key)));
    let gap = if host.is_some() { " " } else { "" };
    element("li", &[], host.into_iter().chain([text(format!("{gap}{said}"))]))
}

/// Says how many are left out, if any are.
fn more(tag: &str, n: usize, what: &str) -> Option<Node> {
    (n > 0).then(|| words(tag, "more", format!("and {} {what}", number(n as u64))))
}

fn figures(status: &PoolStatus) -> Node {
    let wait = mean_wait(status.wait_time, status.waited, status.waiting);
    let figure = |name: &str, value: String| {
        element("div", &[], [words("dt", "", name), words("dd", "", value)])
    };
    let count = |name, n: usize| figure(name, number(n as u64));
    let total = |name, n| figure(name, number(n));
    element(
        "dl",
        &[],
        [
            count("in use", status.in_use),
            count("idle", status.idle),
            count("dialing", status.dialing),
            count("waiting", status.waiting),
            count("hosts", status.hosts),
            total("acquired", status.acquired),
            figure("mean wait", wait),
            total("timed out", status.timed_out),
            total("failed dials", status.failed_dials),
            total("closed", status.closed),
        ],
    )
}

/// Of the waits that have ended.
fn mean_wait(total: Duration, waited: u64, waiting: usize) -> String {
    match waited.saturating_sub(waiting as u64) {
        0 => "–".to_owned(),
        ended => time(Duration::from_secs_f64(total.as_secs_f64() / ended as f64)),
    }
}

/// A table with a heading for each column; those of numbers are marked.
fn table(columns: &[(&str, &str)], rows: impl IntoIterator<Item = Node>) -> Node {
    let column = |(name, class): &(&str, &str)| {
        element("th", &[("scope", "col"), ("class", class)], [text(name)])
    };
    let head = element("thead", &[], [element("tr", &[], columns.iter().map(column))]);
    let table = element("table", &[], [head, element("tbody", &[], rows)]);
    element("div", &[("class", "wide")], [table])
}

fn hosts(pool: &PoolView) -> Node {
    if pool.hosts.is_empty() {
        return words("p", "more", "The pool knows no host yet.");
    }
    let columns = [
        ("host", ""),
        ("connections", ""),
        ("waiting", "n"),
        ("acquired", "n"),
        ("mean wait", "n"),
        ("timed out", "n"),
        ("failed dials", "n"),
        ("last dial error", ""),
    ];
    let table = table(&columns, pool.hosts.iter().map(host));
    let more = more("p", pool.more_hosts, "less busy hosts");
    element("div", &[], [table].into_iter().chain(more))
}

fn host(host: &HostView) -> Node {
    let status = &host.status;
    let number = |n| words("td", "n", number(n));
    let error = host.last_dial_error.as_ref();
    let failing = error.map(|_| words("small", "alarm", "cannot be dialed"));
    element(
        "tr",
        &[],
        [
            element("th", &[("scope", "row")], [text(label(&host.key))].into_iter().chain(failing)),
            element("td", &[("class", "use")], [bar(status), words("span", "", used(status))]),
            waiting(status),
            number(status.acquired),
            words("td", "n", mean_wait(status.wait_time, status.waited, status.waiting)),
            number(status.timed_out),
            number(status.failed_dials),
            element("td", &[("class", "error")], error.into_iter().flat_map(dial_error)),
        ],
    )
}

fn waiting(status: &HostStatus) -> Node {
    let class = if status.waiting > 0 { "n alarm" } else { "n" };
    let overloaded = (status.overloaded > 0).then(|| words("small", "", "overloaded"));
    let count = text(number(status.waiting as u64));
    element("td", &[("class", class)], [count].into_iter().chain(overloaded))
}

fn dial_error(error: &DialError) -> [Node; 2] {
    [text(&error.message), words("small", "", format!("{} ago", time(error.age)))]
}

/// `3 of 10 in use, 2 idle, 1 dialing`.
fn used(status: &HostStatus) -> String {
    let leases = if status.leases == status.in_use { 0 } else { status.leases };
    let counts = [
        (leases, "leases"),
        (status.idle, "idle"),
        (status.dialing, "dialing"),
        (status.pinging, "pinging"),
        (status.draining, "draining"),
        (status.closing, "closing"),
    ];
    let counts = counts.into_iter().filter(|(n, _)| *n > 0);
    let counts = counts.map(|(n, what)| format!("{} {what}", number(n as u64)));
    [in_use(status)].into_iter().chain(counts).collect::<Vec<_>>().join(", ")
}

/// What the words after it say, as a picture: each kind of connections in a pattern of its own, up to the cap, and below
/// them the callers that wait.
fn bar(status: &HostStatus) -> Node {
    let kinds = [
        ("in-use", status.in_use),
        ("idle", status.idle),
        ("dialing", status.dialing),
        ("closing", status.closing),
    ];
    let open = kinds.iter().map(|(_, n)| n).sum();
    let cap = if status.max == usize::MAX { status.peak_in_use } else { status.max };
    let whole = cap.max(open).max(1);
    let part = |class: &str, from: usize, to: usize| {
        let (from, to) = (hundredths(from, whole), hundredths(to, whole));
        let (x, width) = (percent(from), percent(to - from));
        element("rect", &[("class", class), ("x", &x), ("width", &width)], [])
    };
    let mut end = 0;
    let mut parts = vec![part("free", 0, whole)];
    for (class, n) in kinds {
        parts.push(part(class, end, end + n));
        end += n;
    }
    parts.push(part("queue", 0, status.waiting.min(whole)));
    element("svg", &[("aria-hidden", "true")], parts)
}

/// In hundredths of a percent.
fn hundredths(n: usize, whole: usize) -> u64 {
    (n as u64).saturating_mul(10_000) / whole as u64
}

fn percent(hundredths: u64) -> String {
    format!("{}%", hundredths as f64 / 100.0)
}

fn advice(pool: &PoolView) -> Option<Node> {
    let advised = pool.hosts.iter().filter_map(|host| Some((host, host.advice.as_ref()?)));
    let list: Vec<_> =
        advised.map(|(host, advice)| sentence(Some(&host.key), &advice.text)).collect();
    let title = words("h3", "", "Advice");
    (!list.is_empty()).then(|| element("div", &[], [title, element("ul", &[], list)]))
}

fn holders(pool: &PoolView) -> Node {
    let title = words("h3", "", "Who holds connections");
    if pool.places.is_empty() {
        return element("div", &[], [title, words("p", "more", "No connection is lent.")]);
    }
    let columns =
        [("acquired at", ""), ("loans", "n"), ("longest held", "n"), ("over leak_after", "n")];
    let rows = pool.places.iter().map(|place| {
        let leaked = number(place.leaked as u64);
        element(
            "tr",
            &[],
            [
                element("th", &[("scope", "row")], [text(&place.place)]),
                words("td", "n", number(place.loans as u64)),
                words("td", "n", time(place.longest)),
                words("td", if place.leaked > 0 { "n alarm" } else { "n" }, leaked),
            ],
        )
    });
    let more = more("p", pool.more_places, "more lines of code");
    element("div", &[], [title, table(&columns, rows)].into_iter().chain(more))
}

fn loans(pool: &PoolView) -> Option<Node> {
    let all = pool.loans.len() + pool.more_loans;
    let columns = [("held", "n"), ("host", ""), ("connection", "n"), ("acquired at", "")];
    let rows = pool.loans.iter().map(|loan| {
        let (host, place) =
            (words("td", "", label(&loan.key)), words("td", "", loan.place.to_string()));
        let (held, id) = (words("td", "n", time(loan.held)), words("td", "n", loan.id));
        element("tr", &[], [held, host, id, place])
    });
    let title = words("summary", "", counted(all, "loan", "loans, the longest held first"));
    let more = more("p", pool.more_loans, "more loans");
    let parts = [title, table(&columns, rows)].into_iter().chain(more);
    (all > 0).then(|| element("details", &[], parts))
}

fn closes(status: &PoolStatus) -> Node {
    let counted = CloseReason::ALL.iter().map(|&reason| (reason, status.closes.of(reason)));
    let counted = counted.filter(|(_, n)| *n > 0);
    let rows = counted.map(|(reason, n)| pair(reason.label(), number(n)));
    let title = words("summary", "", "Connections that have left, by reason");
    element("details", &[], [title, pairs(rows)])
}

fn settings(pool: &PoolView) -> Node {
    let settings = pool.config.as_object().into_iter().flatten();
    let rows = settings.map(|(name, value)| {
        pair(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    });
    element("details", &[], [words("summary", "", "Settings"), pairs(rows)])
}

fn pairs(rows: impl IntoIterator<Item = Node>) -> Node {
    element("table", &[("class", "pairs")], [element("tbody", &[], rows)])
}

fn pair(name: &str, value: String) -> Node {
    element("tr", &[], [element("th", &[("scope", "row")], [text(name)]), words("td", "", value)])
}
