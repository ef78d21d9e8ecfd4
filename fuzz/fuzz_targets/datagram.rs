//! Shows any bytes to the decoder of the binary dialect. Its guarantees are written down in
//! `kvstore::cluster::guarantees`.

#![no_main]

use kvstore::cluster::guarantees;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| guarantees::check(datagram));
