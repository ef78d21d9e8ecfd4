//! Random commands, to the front end and to a real Redis: every reply must be the same to the byte.
//!
//! `REDIS_COMMANDS` is the number of commands, `REDIS_SEED` the seed.

use kvstore::frontend::redis::connection::Settings;

use super::real::{self, Client};
use super::world::{World, request};

const COMMANDS: u64 = 20_000;

/// As many commands are sent in one go at most.
const PIPELINE: usize = 8;

/// Commands whose replies are the same on both sides.
const NAMES: &str = "append decr decrby del discard echo exec exists expire expireat flushall get \
    getdel getex getrange getset incr incrby incrbyfloat mget mset msetnx multi persist pexpire \
    pexpireat ping psetex select set setex setnx setrange strlen substr touch type unlink unwatch \
    watch foo client config multi exec set set mset getex expire";

/// Commands whose reply depends on the moment.
const TIMED: &str = "ttl pttl expiretime pexpiretime";

/// Small numbers are last: as deadlines they would pass while the test runs.
const WORDS: &str = "a b c 0 -1 -2 100000000 4102444800 4102444800123 9223372036854775807 \
    -9223372036854775808 1.5 x nx XX get GET ex EX px PXAT exat KEEPTTL persist gt LT abc setname \
    getname id async sync 1 2 3 10";
const SMALL_NUMBERS: usize = 4;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

fn command(rng: &mut fastrand::Rng, is_open: bool) -> Vec<&'static str> {
    let names: Vec<&str> = NAMES.split_whitespace().collect();
    let timed: Vec<&str> = TIMED.split_whitespace().collect();
    let mut arguments: Vec<&str> = WORDS.split_whitespace().collect();
    let pick = |rng: &mut fastrand::Rng, from: &[&'static str]| from[rng.usize(..from.len())];
    let name = if !is_open && rng.u8(..20) == 0 { pick(rng, &timed) } else { pick(rng, &names) };
    if name.contains("ex") || name == "set" {
        arguments.truncate(arguments.len() - SMALL_NUMBERS);
    }
    let mut words = vec![name];
    let count = if rng.u8(..4) == 0 { rng.usize(..7) } else { rng.usize(1..4) };
    for place in 0..count {
        let is_key = place == 0 && rng.u8(..8) > 0 || name.starts_with('m') && rng.bool();
        words.push(if is_key { pick(rng, &arguments[..3]) } else { pick(rng, &arguments) });
    }
    // The number of the connection differs.
    let is_id = words.len() == 2 && words[0] == "client" && words[1] == "id";
    if is_id { vec!["ping"] } else { words }
}

fn is_past(line: &[u8]) -> bool {
    line.starts_with(b":-") || !line.starts_with(b":")
}

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
            is_open = match (command[0], command.len()) {
                ("multi", 1) => true,
                ("exec" | "discard", 1) => false,
                _ => is_open,
            };
            commands.push(command);
        }
        sent += commands.len() as u64;
        let bytes: Vec<u8> = commands.iter().flat_map(|command| request(command)).collect();
        client.send(&bytes);
        for command in commands {
            let own = world.send(1, &request(&command));
            let is_timed = TIMED.contains(command[0]) && !is_past(&own);
            let theirs = if is_timed { client.line() } else { client.read(own.len()) };
            let is_equal = own == theirs || is_timed && !is_past(&theirs);
            history.push(command.join(" "));
            history.drain(..history.len().saturating_sub(30));
            let show = |bytes: &[u8]| bytes.escape_ascii().to_string();
            assert!(is_equal, "{}\nRedis: {}\n{}", show(&own), show(&theirs), history.join("\n"));
        }
    }
}
