//! The simulator's own tests, so that `cargo test` runs them, too.

use std::process::Command;

#[test]
fn simulator_passes_its_own_tests() {
    let output = Command::new("python3")
        .args(["-m", "unittest", "discover", "-s", "simulator/tests", "-t", "."])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("KVSTORE", env!("CARGO_BIN_EXE_kvstore"))
        .output()
        .expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
