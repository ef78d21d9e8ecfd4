//! Load for `benches/peers.py`: clients that each wait for the reply before they send the next
//! request. The clients of all systems share this program, its one thread and its clocks.
//!
//! | file | job |
//! |---|---|
//! | `connection` | one client's connection to any of the systems |
//! | `resp` | the protocol of Redis, which kvstore speaks, too |
//! | `shared` | the same on a connection that many clients share |
//! | `etcd` | the two calls of etcd that store and read a key |
//! | `load` | `fill`: writes each key once; `run`: requests for some seconds, and their latencies |
//! | `failover` | `failover`: writes while a leader is killed, and the longest time without service |
//! | `busy` | the processor time of this program |

mod busy;
mod connection;
mod etcd;
mod failover;
mod load;
mod resp;
mod shared;

use std::io;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::task::LocalSet;

use connection::Protocol;

/// Load for benches/peers.py, which starts the servers.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum Command {
    /// Writes each key once
    Fill,
    /// Sends requests for some seconds
    Run(load::Plan),
    /// Writes keys of its own through all addresses while the caller kills the leader
    Failover(failover::Plan),
}

/// The servers, and the requests that they get.
#[derive(Args, Clone)]
struct Target {
    /// How the servers speak
    #[arg(long, global = true, default_value = "resp")]
    protocol: Protocol,
    /// HOST:PORT of each server that is asked; `fill` and `run` ask the first one alone
    #[arg(long, global = true, value_delimiter = ',', default_value = "127.0.0.1:6379")]
    addresses: Vec<String>,
    /// Clients, each with at most one request outstanding
    #[arg(long, global = true, default_value_t = 64)]
    clients: usize,
    /// All clients share one connection, except where they send WAIT
    #[arg(long, global = true)]
    shared: bool,
    /// Keys, numbered from 0
    #[arg(long, global = true, default_value_t = 100_000)]
    keys: u64,
    /// Length of a value
    #[arg(long, global = true, default_value_t = 100)]
    value_bytes: usize,
}

/// The name of a key: 16 bytes.
fn key(number: u64) -> Vec<u8> {
    format!("key:{number:012}").into_bytes()
}

fn main() -> ExitCode {
    let Cli { command, target } = Cli::parse();
    match serve(command, target) {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("peers-load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command, and returns its result as JSON.
fn serve(command: Command, target: Target) -> io::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        match command {
            Command::Fill => load::fill(target).await,
            Command::Run(plan) => load::run(target, plan).await,
            Command::Failover(plan) => failover::run(target, plan).await,
        }
    })
}
