//! The server as its clients see it, over the loopback interface.

mod connections;
mod harness;
mod keys;
mod pages;
