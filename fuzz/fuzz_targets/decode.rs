//! Shows any bytes to the decoder. Its guarantees are written down in `kvstore::wire::guarantees`.

#![no_main]

use kvstore::wire::guarantees;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| guarantees::check(datagram));
