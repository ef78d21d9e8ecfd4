//! The widths of a search that goes breadth first.
//!
//! A history has an order that explains it if *one* configuration reaches the end, so a search may
//! leave out some. The first attempt keeps few configurations after each return, and each later
//! attempt keeps four times as many. An attempt that reaches the end proves that there is an order.
//! An attempt that dies proves that there is none, but only if it has left out no configuration.
//! All attempts together take little longer than the last one.

/// The number of configurations that the first attempt keeps. So many cost little, and most
/// histories need no more.
pub const FIRST_WIDTH: usize = 16;

/// The next attempt keeps so many times as many.
const WIDER: usize = 4;

/// The width of the attempt after one of this width.
pub fn wider(width: usize) -> usize {
    width.saturating_mul(WIDER)
}
