//! The comparison of a password.

/// Compares in a time that depends on the lengths alone, so a client cannot find the password byte
/// by byte.
pub(super) fn is_equal(right: &[u8], given: &[u8]) -> bool {
    let mut differences = u8::from(right.len() != given.len());
    for (place, byte) in given.iter().enumerate() {
        let other = right.get(place).copied().unwrap_or_default();
        differences = std::hint::black_box(differences | (byte ^ other));
    }
    differences == 0
}
