//! Names that no scenario has are refused, with the nearest one that it could have.

use serde_json::{Map, Value};

use super::events::{CONDITIONS, EventType};

/// The keys of a scenario. `run.py` reads all of them, the explorer those that matter to it.
const KEYS: [&str; 27] = [
    "lifetime",
    "replicas",
    "requests",
    "mix",
    "start_wait",
    "wait",
    "end_wait",
    "seed",
    "drops",
    "duplicate",
    "corrupt",
    "delay",
    "reorder",
    "bandwidth",
    "shared_keys",
    "operations",
    "client_drops",
    "client_timeout",
    "read_back",
    "read_all",
    "value_bytes",
    "max_packets",
    "poll",
    "persist",
    "restarts",
    "events",
    "tests",
];

/// Beside those: a limit that some files have where no simulator looks.
const IGNORED: &str = "maximum_get_generation_fail_fraction";

const DISTRIBUTIONS: [&str; 4] = ["constant", "uniform", "normal", "pareto"];
const ENDS: [&str; 2] = ["from", "to"];
const OPERATIONS: [&str; 4] = ["cas", "increment", "append", "delete"];
const CLIENTS: &str = "clients";
const CHOICES: [&str; 3] = ["leader", "non_leader", "random"];

/// A longer value is cut where it is shown.
const MOST_SHOWN: usize = 80;

/// Refuses the first unknown key, event, condition, distribution or replica of a scenario.
///
/// # Errors
///
/// The key, its value, the rule, and the nearest name that is known.
pub(super) fn check(file: &Map<String, Value>) -> Result<(), String> {
    keys("", file, &[&KEYS[..], &[IGNORED]].concat())?;
    let replicas = file.get("replicas").and_then(Value::as_u64).unwrap_or(0);
    let ids: Vec<String> = (0..replicas.min(21)).map(|at| format!("{at:04X}")).collect();
    if let Some(Value::Object(operations)) = file.get("operations") {
        keys("operations", operations, &OPERATIONS)?;
    }
    if let Some(Value::Object(delay)) = file.get("delay") {
        keys("delay", delay, &[&DISTRIBUTIONS[..], &["links"]].concat())?;
        for (key, link) in objects("delay.links", delay.get("links")) {
            keys(&key, link, &[&ENDS[..], &DISTRIBUTIONS].concat())?;
            for end in ENDS {
                let value = link.get(end).unwrap_or(&Value::Null);
                let ends = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                for id in ends.iter().filter(|_| !value.is_null()) {
                    one_of(&format!("{key}.{end}"), id, &with(&ids, &[CLIENTS]))?;
                }
            }
        }
    }
    objects("events", file.get("events")).try_for_each(|(key, event)| check_event(&key, event, &ids))
}

fn check_event(key: &str, event: &Map<String, Value>, ids: &[String]) -> Result<(), String> {
    let kind = event.get("type").unwrap_or(&Value::Null);
    let name = one_of(&format!("{key}.type"), kind, &EventType::NAMES)?;
    let own: &[&str] = match name {
        "flap" => &["duration", "replica", "period"],
        "slow" => &["duration", "replica", "by"],
        lasting if lasting.starts_with("restart") || lasting.starts_with("pause") => &["duration"],
        _ => &[],
    };
    keys(key, event, &[&["type", "time", "when"], own].concat())?;
    if let Some(replica) = event.get("replica") {
        one_of(&format!("{key}.replica"), replica, &with(ids, &CHOICES))?;
    }
    let Some(Value::Object(when)) = event.get("when") else { return Ok(()) };
    let on = one_of(&format!("{key}.when.on"), when.get("on").unwrap_or(&Value::Null), &CONDITIONS)?;
    let message: &[&str] = if on == "message_sent" { &["message"] } else { &[] };
    keys(&format!("{key}.when"), when, &[&["on", "after", "from", "count"], message].concat())
}

/// The objects of a list, with their keys.
fn objects<'a>(key: &str, list: Option<&'a Value>) -> impl Iterator<Item = (String, &'a Map<String, Value>)> {
    let items = list.and_then(Value::as_array).into_iter().flatten().enumerate();
    items.filter_map(move |(at, item)| Some((format!("{key}[{at}]"), item.as_object()?)))
}

fn with<'a>(ids: &'a [String], words: &[&'a str]) -> Vec<&'a str> {
    words.iter().copied().chain(ids.iter().map(String::as_str)).collect()
}

fn keys(at: &str, object: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    let Some((key, value)) = object.iter().find(|(key, _)| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
    let rule = format!("unknown key; known are {}", known.join(", "));
    Err(refusal(&at, value, &rule, key, known))
}

/// The name in a value, if it is known.
fn one_of<'a>(at: &str, value: &Value, known: &[&'a str]) -> Result<&'a str, String> {
    let name = value.as_str().unwrap_or_default();
    let found = known.iter().copied().find(|&one| one == name);
    let rule = || format!("must be one of {}", known.join(", "));
    found.ok_or_else(|| refusal(at, value, &rule(), name, known))
}

fn refusal(at: &str, value: &Value, rule: &str, name: &str, known: &[&str]) -> String {
    let shown = if value.is_null() { "missing".to_owned() } else { value.to_string() };
    let nearest = nearest(name, known).map(|nearest| format!("; did you mean {nearest}?"));
    format!("{}: {}: {rule}{}", cut(at), cut(&shown), nearest.unwrap_or_default())
}

fn cut(text: &str) -> String {
    let shown: String = text.chars().take(MOST_SHOWN).collect();
    if shown.len() < text.len() { shown + "..." } else { shown }
}

/// The known name that differs least, if it differs in a third of its letters at most.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > MOST_SHOWN {
        return None;
    }
    let distance = |one: &str| strsim::damerau_levenshtein(name, one);
    let nearest = known.iter().copied().min_by_key(|one| distance(one))?;
    (distance(nearest) * 3 <= nearest.len().max(3)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(file: &Value) -> String {
        check(file.as_object().expect("an object")).expect_err("a name is unknown")
    }

    #[test]
    fn unknown_name_is_refused_with_its_key_and_the_nearest_name() {
        let event = |event| json!({"replicas": 5, "events": [event]});
        let link = |link| json!({"replicas": 5, "delay": {"links": [link]}});
        for (file, key, nearest) in [
            (json!({"lifetme": 30}), "lifetme: 30: unknown key", "lifetime"),
            (json!({"operations": {"incremnt": 1}}), "operations.incremnt", "increment"),
            (json!({"delay": {"parteo": [1, 2]}}), "delay.parteo", "pareto"),
            (link(json!({"form": "0000"})), "delay.links[0].form", "from"),
            (link(json!({"from": "client"})), "delay.links[0].from: \"client\"", "clients"),
            (link(json!({"to": ["0001", "0009"]})), "delay.links[0].to: \"0009\"", "0000"),
            (event(json!({"type": "part_hrad"})), "events[0].type: \"part_hrad\"", "part_hard"),
            (event(json!({"type": "flap", "perod": 1})), "events[0].perod", "period"),
            (event(json!({"type": "slow", "replica": "leadr"})), "events[0].replica", "leader"),
            (event(json!({"type": "heal", "when": {"on": "killd"}})), "events[0].when.on", "killed"),
            (
                event(json!({"type": "heal", "when": {"on": "healed", "form": 1}})),
                "events[0].when.form",
                "from",
            ),
        ] {
            let refused = refused(&file);
            assert!(refused.starts_with(key), "{refused}");
            assert!(refused.ends_with(&format!("; did you mean {nearest}?")), "{refused}");
        }
    }

    #[test]
    fn name_that_is_far_from_all_has_no_nearest_one() {
        assert!(!refused(&json!({"quux": 1})).contains("did you mean"));
        assert!(!refused(&json!({"x".repeat(1_000): 1})).contains("did you mean"));
        let missing = refused(&json!({"events": [{"time": 1}]}));
        assert!(missing.starts_with("events[0].type: missing: must be one of"), "{missing}");
    }

    #[test]
    fn key_that_another_event_has_is_unknown() {
        let refused = refused(&json!({"events": [{"type": "kill_leader", "duration": 1}]}));
        assert!(refused.starts_with("events[0].duration: 1: unknown key"), "{refused}");
    }

    #[test]
    fn each_known_name_is_accepted() {
        let file = json!({
            "replicas": 3, "tests": {"any": 1}, IGNORED: 0.1, "operations": {"cas": 1},
            "delay": {"normal": [1, 1], "links": [{"from": ["clients", "0002"], "to": "0000", "constant": 1}]},
            "events": [
                {"type": "flap", "time": 1, "duration": 1, "period": 1, "replica": "0002"},
                {"type": "slow", "when": {"on": "message_sent", "message": "x", "after": 1, "from": 1, "count": 1}},
            ],
        });
        assert_eq!(check(file.as_object().expect("an object")), Ok(()));
    }
}
