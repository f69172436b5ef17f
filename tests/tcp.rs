#![cfg(feature = "tcp")]
