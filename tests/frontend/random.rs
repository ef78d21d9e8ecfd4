//! Random commands, to the front end and to a real Redis: every reply must be the same to the byte.
//!
//! `REDIS_COMMANDS` is the number of commands, `REDIS_SEED` the seed.

use kvstore::frontend::redis::connection::Settings;

use super::random_commands::{command, is_lasting, is_open_after, is_timed, number, shown};
use super::real::{self, Client};
use super::world::{World, request};

const COMMANDS: u64 = 20_000;

/// As many commands are sent in one go at most.
const PIPELINE: usize = 8;

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "Redis has another format for decimal numbers here")]
fn replies_to_random_commands_are_those_of_redis() {
    let Some(mut server) = real::start(None) else { return };
    let mut client = Client::connect(&mut server);
    let mut world = World::new(Settings::default());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    world.surroundings.now_ms = now.as_millis() as i64;
    let mut rng = fastrand::Rng::with_seed(number("REDIS_SEED", 1));
    let (mut is_open, mut history) = (false, Vec::new());
    let (all, mut sent) = (number("REDIS_COMMANDS", COMMANDS), 0);
    while sent < all {
        let mut commands = Vec::new();
        for _ in 0..rng.usize(1..=PIPELINE) {
            let command = command(&mut rng, is_open);
            is_open = is_open_after(&command, is_open);
            commands.push(command);
        }
        sent += commands.len() as u64;
        let bytes: Vec<u8> = commands.iter().flat_map(|command| request(command)).collect();
        client.send(&bytes);
        for command in commands {
            let own = world.send(1, &request(&command));
            let differs = is_timed(&command) && !is_lasting(&own);
            let theirs = if differs { client.line() } else { client.read(own.len()) };
            let is_equal = own == theirs || differs && !is_lasting(&theirs);
            history.push(command.join(" "));
            history.drain(..history.len().saturating_sub(30));
            assert!(is_equal, "{}\nRedis: {}\n{}", shown(&own), shown(&theirs), history.join("\n"));
        }
    }
}
