//! Any bytes are a program for the engine. It must keep the invariants, and serve everybody in the end.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wharf::fuzz_engine(bytes));
