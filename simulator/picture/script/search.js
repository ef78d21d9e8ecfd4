// A query -> the messages that it matches. Words narrow the search: all of them must match.

const SEARCH_FIELDS = ["type", "mid", "key", "replica", "from", "to", "term", "lost", "text"];

/** The numbers of the messages that match all words of a query, in the order of sending. */
function search(run, query) {
    const words = query.match(/(?:[^\s"]|"[^"]*")+/g) ?? [];
    if (!words.length) return new Uint32Array();
    const tests = words.map((word) => testFor(run, word));
    const found = [];
    for (let i = 0; i < run.sent.length; i++) {
        if (tests.every((test) => test(i))) found.push(i);
    }
    return Uint32Array.from(found);
}

/** The test of one word: `field:value`, or a word that may be an ID, a type or any text. */
function testFor(run, word) {
    const [, field, quoted] = word.match(new RegExp(`^(${SEARCH_FIELDS.join("|")}):(.*)$`, "i")) ?? [
        null,
        "",
        word,
    ];
    const value = quoted.replaceAll('"', "");
    switch (field.toLowerCase()) {
        case "type":
            return (i) => run.types[run.type[i]] === value || includesText(run, `"type":"${value}"`)(i);
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
        default:
            return testForAny(run, value);
    }
}

function testForAny(run, value) {
    if (run.processes.includes(value.toUpperCase())) return touches(run, value);
    const type = run.types.indexOf(value);
    if (type >= 0) return (i) => run.type[i] === type;
    if (value === "lost") return (i) => run.isLost(i);
    return includesText(run, value);
}

function touches(run, id) {
    const process = run.processes.indexOf(id.toUpperCase());
    return (i) => process >= 0 && (run.from[i] === process || run.to[i] === process);
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
