//! Walks one path of the pool a number of times, for a tool that counts instructions.
//!
//! Run by `.ci/instructions`, for example as `paths hit-max_idle-10000`. The path is set up, walked a while to
//! warm up, and then walked in [`count::counted`], the only function whose instructions are counted. The program
//! prints the number of those walks.
//!
//! # Single loans
//!
//! - `floor`: a bare mutex and vector
//! - `host`: a hit through a `Host`, and its return
//! - `checked`: the same in a pool with a health check and a heartbeat
//! - `heard`: the same where the connector knows when its peers were heard
//! - `noted`: the hit with deadlock warnings
//! - `watched`: the same with everything that can be watched
//! - `metered`: the same with metrics as the observer, which a later report hands over
//! - `total`: the same under `max_total`
//! - `key`: a hit through a key, one of 100, and its return
//! - `lease`: a lease of a shared connection that has another one, and its end
//! - `lone`: a lease of a shared connection that has no other, and its end
//! - `wait`: 64 tasks on 4 connections; each waits for a connection that another task returns
//!
//! # Hosts that come and go
//!
//! - `first`: the first loan of a host, with its dial, and its return
//! - `close`: a host with an idle connection, when its pool is closed
//!
//! # Many hosts
//!
//! The number of hosts must not matter.
//!
//! - `key-N`: a hit through a key, each of N in turn
//! - `wait-N`: N hosts with one connection and two callers each; one waits for what the other returns
//! - `share-N`: one caller for each of N hosts, under a `max_total` of 16. Each use closes a connection of another host
//!   and dials a new one. The clock decides when, so only the first digits of this count repeat
//!
//! # Many connections
//!
//! The number of connections to one host must not matter either. S is one of the [settings](setting::Setting), or
//! `every` for all of them together.
//!
//! - `hit-S-N`: a hit with N idle connections, and its return
//! - `out-S-N`: the same with one idle connection while others hold N
//! - `wait-out-S-N`: `wait` while others hold N connections
//! - `wait-shared-N`: `wait` for a lease of one of 4 connections, which carry N leases each
//! - `lease-P-N`: a lease of the one of N shared connections that has room; the others are full, with 4 leases each. P is
//!   the `Spread`, `oldest` or `least`; or `every`: `least` with every setting
//! - `lone-P-N`: the same where each connection carries a single lease
//! - `room-P-N`: a lease of one of N shared connections where most have room
//! - `join-S-N`: a caller joins the queue of a host whose N shared connections are full, and gives up; in
//!   simulated time
//! - `discard-S-N`: one of N idle connections is lent and discarded, and a replacement is dialed
//! - `discard-out-S-N`: the same with one idle connection while others hold N
//! - `beat-S-N`: a heartbeat of one of N idle connections, in simulated time
//! - `beat-shared-S-N`: the same where each of the N connections is lent
//! - `leak-S-N`: one of N loans is reported as a leak, returned, and lent again, in simulated time
//! - `warm-S-N`: a connection that `warm` dials, one of N to its host

mod beat;
mod connector;
mod count;
mod countdown;
mod crowd;
mod discard;
mod floor;
mod hit;
mod hosts;
mod join;
mod keys;
mod leak;
mod lease;
mod setting;
mod shares;
mod sharing;
mod single;
mod warm;

use std::env;
use std::future::ready;

use count::count;
use setting::Setting;
use sharing::Sharing;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [path] = &arguments[..] else { panic!("one path, not {arguments:?}") };
    let walks = match path.rsplit_once('-') {
        Some((kind, n)) => walk_among(kind, n.parse().expect("a number after the last dash")),
        None => walk_single(path),
    };
    println!("{walks}");
}

fn walk_single(path: &str) -> usize {
    match path {
        "floor" => count(ready(floor::Floor::new())),
        "host" | "checked" | "heard" | "noted" | "watched" | "metered" | "total" => {
            count(single::host(path))
        }
        "key" => count(keys::Keys::new(100)),
        "lease" => count(lease::single(true)),
        "lone" => count(lease::single(false)),
        "wait" => count(crowd::single()),
        "first" => count(ready(hosts::First::new())),
        "close" => count(hosts::Close::new()),
        other => panic!("no such path: {other}"),
    }
}

fn walk_among(kind: &str, n: usize) -> usize {
    let parts: Vec<_> = kind.split('-').collect();
    match parts[..] {
        ["key"] => count(keys::Keys::new(n)),
        ["wait"] => count(crowd::on_hosts(n)),
        ["share"] => count(ready(shares::Shares::new(n))),
        ["hit", setting] => count(hit::idle(Setting::named(setting), n)),
        ["out", setting] => count(hit::out(Setting::named(setting), n)),
        ["wait", "shared"] => count(crowd::shared(n)),
        ["wait", "out", setting] => count(crowd::out(Setting::named(setting), n)),
        ["lease", sharing] => count(lease::full(Sharing::named(sharing), n, 4)),
        ["lone", sharing] => count(lease::full(Sharing::named(sharing), n, 1)),
        ["room", sharing] => count(lease::with_room(Sharing::named(sharing), n)),
        ["join", setting] => count(join::Join::new(Setting::named(setting), n)),
        ["discard", setting] => count(discard::idle(Setting::named(setting), n)),
        ["discard", "out", setting] => count(discard::out(Setting::named(setting), n)),
        ["beat", setting] => count(beat::idle(Setting::named(setting), n)),
        ["beat", "shared", setting] => count(beat::lent(Setting::named(setting), n)),
        ["leak", setting] => count(leak::Leak::new(Setting::named(setting), n)),
        ["warm", setting] => count(ready(warm::Warm::new(Setting::named(setting), n))),
        _ => panic!("no such path: {kind}"),
    }
}
