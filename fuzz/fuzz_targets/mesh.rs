//! Shows any bytes to the beginning of a connection between replicas, and to its frames. The
//! guarantees are written down in `kvstore::transport::tcp::guarantees`.

#![no_main]

use kvstore::transport::tcp::guarantees;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guarantees::check(bytes));
