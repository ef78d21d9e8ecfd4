//! The tests of the simulator, and of the test bed of several hosts, so that `cargo test` runs them,
//! too.

use std::process::Command;

/// Runs the tests of a directory, whose modules are imported from the second one.
fn unittest(directory: &str, imported_from: &str) {
    let output = Command::new("python3")
        .args(["-m", "unittest", "discover", "-s", directory, "-t", imported_from])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("KVSTORE", env!("CARGO_BIN_EXE_kvstore"))
        .output()
        .expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn simulator_passes_its_own_tests() {
    unittest("simulator/tests", ".");
}

#[test]
fn test_bed_of_several_hosts_passes_its_own_tests() {
    unittest("tests/hosts", "tests");
}
