//! Has the pool compiled with loom's locks and atomics.

fn main() {
    println!("cargo::rustc-cfg=wharf_loom");
    println!("cargo::rerun-if-changed=build.rs");
}
