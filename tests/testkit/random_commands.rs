//! Random commands of Redis clients whose replies a store and a real Redis must agree on.

/// Commands whose replies are the same on both sides.
const NAMES: &str = "append decr decrby del discard echo exec exists expire expireat flushall get \
    getdel getex getrange getset incr incrby incrbyfloat mget mset msetnx multi persist pexpire \
    pexpireat ping psetex select set setex setnx setrange strlen substr touch type unlink unwatch \
    watch foo client config multi exec set set mset getex expire dbsize flushdb";

/// Commands whose reply depends on the moment.
const TIMED: &str = "ttl pttl expiretime pexpiretime";

/// Words with bytes of their own, which are never keys.
const BYTES: [&str; 4] = ["", "\r\n", "\0", "gr\u{fc}n"];

/// Small numbers are last: as deadlines they would pass while the test runs.
const WORDS: &str = "a b c 0 -1 -2 100000000 4102444800 4102444800123 9223372036854775807 \
    -9223372036854775808 1.5 x nx XX get GET ex EX px PXAT exat KEEPTTL persist gt LT abc setname \
    getname id async sync 1 2 3 10";
const SMALL_NUMBERS: usize = 4;

/// A number that the environment may set.
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

/// A command. `is_open` says whether it comes between MULTI and EXEC, where no reply may depend on the
/// moment.
pub fn command(rng: &mut fastrand::Rng, is_open: bool) -> Vec<&'static str> {
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
        words.push(match is_key {
            true => pick(rng, &arguments[..3]),
            false if rng.u8(..32) == 0 => pick(rng, &BYTES),
            false => pick(rng, &arguments),
        });
    }
    // The number of the connection differs, and so does the ID of the replica among its settings.
    let is_own = matches!(words[..], ["client", "id"]) || words[0] == "config" && words.contains(&"id");
    if is_own { vec!["ping"] } else { words }
}

/// Whether the connection is between MULTI and EXEC after a command, and whether it was before.
pub fn is_open_after(command: &[&str], was_open: bool) -> bool {
    match command {
        ["multi"] => true,
        ["exec" | "discard" | "reset"] => false,
        _ => was_open,
    }
}

/// Whether the reply to a command depends on the moment.
pub fn is_timed(command: &[&str]) -> bool {
    TIMED.contains(command[0])
}

/// Whether a reply to such a command says that there is no key or no deadline, or is an error. Then it is the
/// same at any moment.
pub fn is_lasting(reply: &[u8]) -> bool {
    reply.starts_with(b":-") || !reply.starts_with(b":")
}

/// Bytes, as a person can read them.
pub fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
