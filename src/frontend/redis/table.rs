//! The table of all commands: their properties from `commands.txt`, and what each of them does.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::arguments::Call;
use super::failure::{Failure, up_to_zero};
use super::local::{self, Local};
use super::translate::Translate;
use super::{client, describe, keys, sentinel, server, strings, subscriptions};
use crate::bytes::Bytes;

/// The texts of the table.
const TEXT: &str = include_str!("commands.txt");

/// An error repeats so many bytes of an unknown command, and as many of its arguments.
const SHOWN_BYTES: usize = 128;

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name: lower case, `client|list` for a command of a command.
    pub name: &'static str,
    /// How many words a request has; a negative one is a minimum.
    pub arity: i64,
    /// The places of the first and the last key, and their distance.
    pub keys: [i64; 3],
    /// Its properties, as Redis calls them.
    pub flags: &'static str,
    /// Its categories, as access control lists of Redis call them.
    pub categories: &'static str,
    /// The group that documentation lists it in.
    pub group: &'static str,
    /// The version of Redis that had it first.
    pub since: &'static str,
    /// Its effect, in a few words.
    pub summary: &'static str,
    /// Its effect.
    pub run: Run,
    /// Whether a client may use it before it has given the password.
    pub is_open: bool,
    /// Whether it has commands of its own.
    pub is_container: bool,
}

/// The effect of a command.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// A command of the store.
    Store(Translate),
    /// The connection knows the reply.
    Local(Local),
    /// It changes how the connection runs commands.
    Control(Control),
    /// Nothing without one of its own commands.
    Container,
}

/// Commands that change how the connection runs commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// MULTI
    Multi,
    /// EXEC
    Exec,
    /// DISCARD
    Discard,
    /// WATCH
    Watch,
    /// UNWATCH
    Unwatch,
    /// RESET
    Reset,
    /// QUIT
    Quit,
    /// KEYS: as many scans as it takes.
    Keys,
    /// RANDOMKEY: scans from a random place.
    RandomKey,
    /// KV.DO
    Do,
    /// EVALSHA of a script that is known.
    Script,
}

static TABLE: LazyLock<BTreeMap<&'static str, Entry>> = LazyLock::new(|| {
    let rows = TEXT.lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(entry).map(|entry| (entry.name, entry)).collect()
});

/// All commands in the order of their names, those of commands included.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    TABLE.values()
}

/// The command that a request names; not one of a command.
pub fn named(word: &[u8]) -> Option<&'static Entry> {
    let name = lower(word)?;
    TABLE.get(&*name).filter(|entry| !entry.name.contains('|'))
}

/// The command of a request, with the number of words that the command demands.
pub fn find(words: &[Bytes]) -> Result<&'static Entry, Failure> {
    let word = words.first().map_or(&[][..], |word| word);
    let entry = named(word).ok_or_else(|| unknown(words))?;
    let entry = match words.get(1) {
        Some(inner) if entry.is_container => {
            let name = lower(inner).map(|inner| format!("{}|{inner}", entry.name));
            let found = name.and_then(|name| TABLE.get(&*name));
            found.ok_or_else(|| unknown_inner(entry.name, inner))?
        }
        _ => entry,
    };
    let count = words.len() as i64;
    let fits = if entry.arity < 0 { count >= -entry.arity } else { count == entry.arity };
    if fits { Ok(entry) } else { Err(Failure::arity(entry.name)) }
}

/// The words of a request, for a command that has been found.
pub fn call<'a>(entry: &Entry, words: &'a [Bytes]) -> Call<'a> {
    Call { name: entry.name, words }
}

fn lower(word: &[u8]) -> Option<String> {
    std::str::from_utf8(word).ok().filter(|word| word.len() <= SHOWN_BYTES).map(str::to_ascii_lowercase)
}

fn unknown(words: &[Bytes]) -> Failure {
    let mut shown = String::new();
    for word in words.iter().skip(1) {
        if shown.len() >= SHOWN_BYTES {
            break;
        }
        shown += &format!("'{}' ", cut(word, SHOWN_BYTES - shown.len()));
    }
    let name = words.first().map(|word| cut(word, SHOWN_BYTES)).unwrap_or_default();
    Failure::new(format!("ERR unknown command '{name}', with args beginning with: {shown}"))
}

fn unknown_inner(name: &str, inner: &[u8]) -> Failure {
    let (inner, name) = (cut(inner, SHOWN_BYTES), name.to_ascii_uppercase());
    Failure::new(format!("ERR unknown subcommand '{inner}'. Try {name} HELP."))
}

/// The beginning of a word, up to a zero byte.
fn cut(word: &[u8], bytes: usize) -> String {
    let text = up_to_zero(word);
    String::from_utf8_lossy(&text[..text.len().min(bytes)]).into_owned()
}

fn entry(row: &'static str) -> Option<Entry> {
    let mut cells = row.split(" | ").map(str::trim);
    let mut cell = || cells.next();
    let (name, arity) = (cell()?, cell()?.parse().ok()?);
    let mut places = cell()?.split(' ').map(|place| place.parse().ok());
    let keys = [places.next()??, places.next()??, places.next()??];
    let mut words = || cell().map(|text| if text == "-" { "" } else { text });
    let (flags, categories, group, since, summary) = (words()?, words()?, words()?, words()?, words()?);
    let is_open = flags.split(' ').any(|flag| flag == "no_auth");
    let is_container = matches!(name, "client" | "command" | "config" | "sentinel");
    let run = run(name)?;
    Some(Entry { name, arity, keys, flags, categories, group, since, summary, run, is_open, is_container })
}

fn run(name: &str) -> Option<Run> {
    Some(match name {
        "client" | "config" | "sentinel" => Run::Container,
        _ => match (control(name), store(name), local(name)) {
            (Some(control), ..) => Run::Control(control),
            (_, Some(translate), _) => Run::Store(translate),
            (.., Some(local)) => Run::Local(local),
            (None, None, None) => return None,
        },
    })
}

fn control(name: &str) -> Option<Control> {
    Some(match name {
        "multi" => Control::Multi,
        "exec" => Control::Exec,
        "discard" => Control::Discard,
        "watch" => Control::Watch,
        "unwatch" => Control::Unwatch,
        "reset" => Control::Reset,
        "quit" => Control::Quit,
        "keys" => Control::Keys,
        "randomkey" => Control::RandomKey,
        "kv.do" => Control::Do,
        "evalsha" => Control::Script,
        _ => return None,
    })
}

fn store(name: &str) -> Option<Translate> {
    Some(match name {
        "append" => strings::append,
        "dbsize" => keys::count,
        "decr" => strings::decrement,
        "decrby" => strings::decrement_by,
        "del" | "unlink" => keys::delete,
        "delex" => keys::delete_if,
        "delifeq" => keys::delete_if_equal,
        "exists" | "touch" => keys::exists,
        "expire" => keys::expire,
        "expireat" => keys::expire_at_seconds,
        "expiretime" => keys::deadline_seconds,
        "flushall" | "flushdb" => keys::flush,
        "get" => strings::get,
        "getdel" => strings::get_delete,
        "getex" => strings::get_expire,
        "getrange" | "substr" => strings::get_range,
        "getset" => strings::get_set,
        "incr" => strings::increment,
        "incrby" => strings::increment_by,
        "incrbyfloat" => strings::increment_by_float,
        "kv.rev" => keys::revision,
        "mget" => strings::mget,
        "mset" => strings::set_many,
        "msetnx" => strings::set_many_if_absent,
        "persist" => keys::persist,
        "pexpire" => keys::expire_millis,
        "pexpireat" => keys::expire_at_millis,
        "pexpiretime" => keys::deadline_millis,
        "psetex" => strings::set_millis,
        "pttl" => keys::millis_left,
        "scan" => keys::scan,
        "set" => strings::set,
        "setex" => strings::set_seconds,
        "setnx" => strings::set_if_absent,
        "setrange" => strings::set_range,
        "strlen" => strings::strlen,
        "ttl" => keys::seconds_left,
        "type" => keys::kind,
        _ => return None,
    })
}

fn local(name: &str) -> Option<Local> {
    Some(match name {
        "auth" => local::auth,
        "client|getname" => client::get_name,
        "client|id" => client::id,
        "client|info" => client::info,
        "client|kill" => client::kill,
        "client|list" => client::list,
        "client|no-evict" => client::no_evict,
        "client|setinfo" => client::set_info,
        "client|setname" => client::set_name,
        "command" => describe::all,
        "command|count" => describe::count,
        "command|docs" => describe::docs,
        "command|info" => describe::info,
        "config|get" => server::config_get,
        "echo" => local::echo,
        "hello" => local::hello,
        "info" => server::info,
        "ping" => local::ping,
        "psubscribe" => subscriptions::subscribe_patterns,
        "punsubscribe" => subscriptions::unsubscribe_patterns,
        "readonly" => local::read_only,
        "readwrite" => local::read_write,
        "role" => server::role,
        "select" => local::select,
        "sentinel|get-master-addr-by-name" => sentinel::address,
        "sentinel|master" => sentinel::master,
        "sentinel|masters" => sentinel::masters,
        "sentinel|replicas" | "sentinel|slaves" => sentinel::replicas,
        "sentinel|sentinels" => sentinel::sentinels,
        "subscribe" => subscriptions::subscribe,
        "time" => server::time,
        "unsubscribe" => subscriptions::unsubscribe,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_a_command_that_does_something() {
        let rows = TEXT.lines().filter(|line| !line.starts_with('#'));
        for row in rows.clone() {
            assert!(entry(row).is_some(), "{row}");
        }
        assert_eq!(all().count(), rows.count());
    }

    #[test]
    fn command_may_grow_the_state_if_redis_refuses_it_without_memory() {
        let mut growing = 0;
        for entry in all() {
            let Run::Store(translate) = entry.run else { continue };
            let words = vec![Bytes::from("1"); entry.arity.unsigned_abs() as usize];
            let Ok(translation) = translate(&call(entry, &words)) else { panic!("{}", entry.name) };
            let is_refused = entry.flags.split(' ').any(|flag| flag == "denyoom");
            assert_eq!(translation.operation.may_grow(), is_refused, "{}", entry.name);
            growing += usize::from(is_refused);
        }
        assert!(growing > 10, "{growing}");
    }

    #[test]
    fn command_is_found_by_any_case_and_the_number_of_its_words() {
        let found = |line: &str| {
            let words: Vec<Bytes> = line.split(' ').map(Bytes::from).collect();
            find(&words).map(|entry| entry.name)
        };
        assert_eq!(found("GeT a"), Ok("get"));
        assert_eq!(found("client LIST"), Ok("client|list"));
        assert_eq!(found("command"), Ok("command"));
        assert_eq!(found("get"), Err(Failure::arity("get")));
        assert_eq!(found("client"), Err(Failure::arity("client")));
        let unknown = "ERR unknown command 'client|list', with args beginning with: ";
        assert_eq!(found("client|list"), Err(Failure::new(unknown)));
        let long = "a".repeat(300);
        let shown = format!("ERR unknown command '{}', with args beginning with: 'b' ", &long[..128]);
        assert_eq!(found(&format!("{long} b")), Err(Failure::new(shown)));
    }
}
