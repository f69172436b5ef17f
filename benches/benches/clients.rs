//! The pool's HTTP client and hyper-util's legacy client; its gRPC channels and one tonic channel.
//!
//! In the figure: a request of no body, its answer of 64 bytes (in the long form also of 16 KiB), and all that the client
//! does for them: the connection that it takes and gives back, its tasks, the system calls. "cpu us" is the processor time
//! of the client's threads, and "switches" is how often they went to sleep (voluntary context switches). The server, hyper's
//! or tonic's, runs in the same process on threads of its own, which are not counted.
//! Connections are made before anything is measured. Medians are compared.
//!
//! HTTP/1.1: each task has a connection; or 8 tasks have 64 or 1,000 hosts, of which each request is to any; or 512 tasks
//! have 64 connections. HTTP/2: all tasks share one. The client has one thread and the server another, pinned to a core
//! each.
//!
//! gRPC: 1 to 1,000 calls at once on one connection and one channel of tonic's, and on ten connections and ten channels of
//! tonic's, in turn or balanced; and 1,000 on the connections that the pool makes with its default settings, 100 leases
//! each, and one channel. Client and server have two threads each, which share all cores.
//!
//! Run: `cargo bench -p wharf-benches --bench clients`, with `-- --long` for all sizes.
//!
//! To count instructions, or to profile: one contestant alone, on the main thread, `perf stat -i -e instructions:u
//! <program> --alone "HTTP/2, 8 tasks, answers of 64 bytes" wharf 10000`, with `peer` for the other one; twice with
//! different numbers of requests, and take the difference.
//!
//! With `--serve` it is the HTTP server alone, for clients of another program: it prints the machine and the server's address,
//! and serves until its input ends.

use std::env;

use wharf_benches::clients;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, scene, contestant, requests, ..] = &arguments[..]
        && flag == "--alone"
    {
        let requests = requests.parse().expect("a number of requests");
        assert!(clients::alone(scene, contestant == "peer", requests), "no such scene");
        return;
    }
    if arguments.iter().any(|argument| argument == "--serve") {
        return clients::serve();
    }
    wharf_benches::show(clients::run);
}
