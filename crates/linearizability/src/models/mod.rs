//! Models for [`check`](crate::check): objects that are often tested.

mod cas_register;
mod counter;

pub use cas_register::{CasAnswer, CasCall, CasRegister};
pub use counter::{Counter, CounterCall};
