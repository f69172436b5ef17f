//! How hosts share `max_total`, in a table. The figures are the pool's own decisions and do not depend on the machine.
//!
//! Run: `cargo bench -p wharf-benches-alone --bench tenure`. The table is in the guide, `many_hosts.md`.

mod sharing;

fn main() {
    println!("{}", sharing::HEAD);
    for (name, load) in sharing::LOADS {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build();
        println!("{}", runtime.expect("a runtime").block_on(sharing::row(name, load)));
    }
}
