// A query -> its hits. Words narrow the search: all of them must match.

const SEARCH_FIELDS = "type mid key replica from to term lost text log event".split(" ");
const SEARCH_WORD = new RegExp(`^(${SEARCH_FIELDS.join("|")}):(.*)$`, "i");
const NEVER = () => false;

/** The messages, log lines, events and faults that match all words of a query. */
function search(run, query) {
    const words = (query.match(/(?:[^\s"]|"[^"]*")+/g) ?? []).map(wordOf);
    if (!words.length) return new Hits(run);
    const found = [];
    const tests = words.map((word) => messageTest(run, word));
    for (let i = 0; i < run.sent.length && !tests.includes(NEVER); i++) {
        if (tests.every((test) => test(i))) found.push(i);
    }
    const recordTests = words.map((word) => recordTest(run, word));
    const records = recordsOf(run).filter((record) => recordTests.every((test) => test(record)));
    return new Hits(run, Uint32Array.from(found), records);
}

/** A word as its field, which may be empty, and its value. */
function wordOf(word) {
    const [, field, value] = word.match(SEARCH_WORD) ?? [null, "", word];
    return { field: field.toLowerCase(), value: value.replaceAll('"', "") };
}

/** The test of one word for messages. Without a field it may be an ID, a type or any text. */
function messageTest(run, { field, value }) {
    switch (field) {
        case "type":
            return isOfType(run, value);
        case "mid":
        case "key":
            return includesText(run, jsonOf(value));
        case "replica":
            return touches(run, value);
        case "from":
            return (i) => run.processes[run.from[i]] === value.toUpperCase();
        case "to":
            return (i) => run.processes[run.to[i]] === value.toUpperCase();
        case "term":
            return (i) => run.term[i] === Number(value);
        case "lost":
            return (i) => run.isLost(i) && (!value || run.reasons[run.fate[i] - FIRST_REASON] === value);
        case "text":
            return includesText(run, value);
        case "log":
        case "event":
            return NEVER;
        default:
            return testForAny(run, value);
    }
}

function testForAny(run, value) {
    if (run.processes.includes(value.toUpperCase())) return touches(run, value);
    const type = run.types.indexOf(value);
    if (type >= 0) return (i) => run.type[i] === type;
    if (value === "lost") return (i) => run.isLost(i);
    if (value === "damaged") return (i) => run.changed.has(i);
    return includesText(run, value);
}

/** A message of a type, or one that carries messages of it. */
function isOfType(run, type) {
    const carries = includesText(run, `"type":"${type}"`);
    return (i) => run.types[run.type[i]] === type || carries(i);
}

function touches(run, id) {
    const process = run.processes.indexOf(id.toUpperCase());
    return (i) => process >= 0 && (run.from[i] === process || run.to[i] === process);
}

/** The test of one word for log lines, events and faults: they have text, replicas and MIDs. */
function recordTest(run, { field, value }) {
    const text = value.toLowerCase();
    const hasText = (record) => record.text.includes(text);
    const hasId = (record) => record.ids.includes(value.toUpperCase());
    switch (field) {
        case "":
            if (value === "lost" || value === "damaged") return NEVER;
            return run.processes.includes(value.toUpperCase()) ? hasId : hasText;
        case "text":
            return hasText;
        case "replica":
            return hasId;
        case "mid":
            return (record) => record.mids.includes(value);
        case "log":
            return (record) => record.item.kind === "line" && hasText(record);
        case "event":
            return (record) => record.item.kind !== "line" && hasText(record);
        default:
            return NEVER;
    }
}

/** Whether the body of a message includes a text. All bodies are searched at once, as one text. */
function includesText(run, text) {
    const needle = escapeText(text);
    const has = new Uint8Array(run.bodies.starts.length);
    for (let at = run.bodies.text.indexOf(needle); needle && at >= 0;) {
        const body = run.bodies.numberAt(at);
        has[body] = 1;
        const next = run.bodies.starts[body + 1];
        at = next === undefined ? -1 : run.bodies.text.indexOf(needle, next);
    }
    return (i) => has[run.bodyOf[i]] === 1;
}

/** A text with the escape sequences of the bodies, which are ASCII. */
function escapeText(text) {
    return text.replace(/[\u0080-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A text in quotes, as the bodies have it. */
function jsonOf(text) {
    return escapeText(JSON.stringify(text));
}
