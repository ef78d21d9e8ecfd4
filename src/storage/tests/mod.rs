//! The real code on a directory that can fail. A model says which states may be found after a crash.

mod bad_input;
mod cost;
mod crashes;
pub mod faulty;
mod flips;
mod inode;
mod model;
mod real;
mod repairs;
