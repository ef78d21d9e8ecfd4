// Times, names and records in words.

const MILLISECOND = 1000;
const SECOND = 1_000_000;
const ROLES = {
    request: "request",
    answer: "answer",
    copies: "copies it",
    reply: "probably its reply",
    evidence: "shows the fault",
};

/** A moment, in seconds with as many decimals as `step` needs. */
function formatTime(time, step = 1) {
    const decimals = Math.min(6, Math.max(0, Math.ceil(6 - Math.log10(Math.max(1, step)) - 1e-9)));
    const text = (time / SECOND).toFixed(decimals);
    return `${Number(text) === 0 ? text.replace("-", "") : text} s`;
}

/** A length of time with three digits that count. */
function formatDuration(time) {
    if (!Number.isFinite(time)) return "unknown";
    if (time < MILLISECOND) return `${Math.round(time)} µs`;
    const [unit, name] = time < SECOND ? [MILLISECOND, "ms"] : [SECOND, "s"];
    return `${Number((time / unit).toPrecision(3))} ${name}`;
}

/** A text of several lines as one. */
function oneLine(text) {
    return text.replace(/\s*\n\s*/g, " ");
}

function formatCount(count) {
    return count.toLocaleString("en");
}

/** A count with its noun: `plural(2, "message")` is "2 messages". */
function plural(count, noun) {
    return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** A key as short as a label needs it: its begin and its end. */
function shortKey(key) {
    const text = String(key);
    return text.length > 20 ? `${text.slice(0, 10)}…${text.slice(-6)}` : text;
}

/** The fate of a message. */
function describeFate(run, message) {
    if (run.fate[message] === UNDECIDED) return "still on its way at the end";
    if (run.isLost(message)) return `lost: ${run.reasons[run.fate[message] - FIRST_REASON]}`;
    const copies = run.copies.filter((copy) => copy.message === message).length;
    const again = copies ? `, and ${plural(copies, "more time")}` : "";
    const damage = run.changed.has(message) ? ", damaged on its way" : "";
    return `delivered after ${formatDuration(run.delay[message])}${again}${damage}`;
}

/** A message in one line. */
function describeMessage(run, message) {
    const [from, to] = [run.from[message], run.to[message]].map((process) => run.processes[process]);
    return `${run.types[run.type[message]]} from ${from} to ${to}, ${describeFate(run, message)}`;
}

function describeOperation(run, operation) {
    const [call, answer] = run.call(operation);
    const key = call.key === undefined ? "" : ` ${JSON.stringify(shortKey(call.key))}`;
    const outcome = run.isOver(operation)
        ? `${run.outcomes[run.outcome[operation]]} after ${formatDuration(run.took[operation])}`
        : "no answer";
    const by = answer.replica ? ` from ${answer.replica}` : "";
    return `${run.kinds[run.kind[operation]]}${key} of client ${run.processes[run.client[operation]]}: ${outcome}${by}`;
}

/** A request by its name, with what it writes and what it was told, as short as a label needs it. */
function describeCall(run, operation) {
    const [call, answer] = run.call(operation);
    const quoted = (value) =>
        typeof value === "string" ? JSON.stringify(shortKey(value)) : shortKey(JSON.stringify(value));
    const given = call.from === undefined ? (call.value ?? call.by) : `${call.from} to ${call.to}`;
    const done = { true: "done", false: "not done" }[answer.done];
    const told = answer.value ?? answer.result;
    const parts = [nameOf(run, operation)];
    if (given !== undefined) parts.push(quoted(given));
    if (done ?? told !== undefined) parts.push("→", done ?? quoted(told));
    return parts.join(" ");
}

/** The type and the MID of a request. */
function nameOf(run, operation) {
    return `${run.kinds[run.kind[operation]]} ${run.mids[run.operationMid[operation]]}`;
}

/** How a request ended, and when. */
function describeEnd(run, operation) {
    const [, answer] = run.call(operation);
    const start = formatTime(run.invoked[operation], MILLISECOND);
    if (!run.isOver(operation)) return `asked at ${start}, no answer`;
    const by = answer.replica ? ` from ${answer.replica}` : "";
    return `${run.outcomes[run.outcome[operation]]}${by}, asked at ${start}`;
}

function describeEvent([, kind, data]) {
    const list = (ids) => (ids ?? []).join(" ");
    switch (kind) {
        case "partition":
            return `partition: ${list(data.side)} cut off from the others`;
        case "one_way":
            return `one-way partition: ${list(data.from)} cannot reach ${list(data.to)}`;
        case "heal":
            return "partition healed";
        case "kill":
            return `${data.replica} killed`;
        case "restart":
            return `${data.replica} killed, starts again`;
        case "back":
            return `${data.replica} joined again`;
        case "pause":
            return `${data.replica} paused`;
        case "resume":
            return `${data.replica} continues`;
        case "end":
            return `${data.replica} ended by itself${data.text ? `: ${data.text}` : ""}`;
        case "slow":
            return `${data.replica} is slow: its messages take ${formatDuration(data.by * SECOND)} longer`;
        case "slow_end":
            return `${data.replica} is as fast as before`;
        case "leader":
            return `${data.replica} is the leader${data.by ? `, says ${data.by}` : ""}${data.term ? `, term ${data.term}` : ""}`;
        case "no_get":
            return `client ${data.client} has no key to get${data.withheld ? ", because its puts wait" : ""}`;
        case "note":
            return String(data.text ?? "");
        default:
            return `${kind} ${JSON.stringify(data)}`;
    }
}

/** The message of a body in lines that people can read; a body that is not JSON as it is. */
function prettyBody(text) {
    try {
        const content = JSON.parse(text);
        return typeof content === "string" ? content : JSON.stringify(content, null, 2);
    } catch {
        return text;
    }
}

/** The record behind a selected or hovered item, in one line. */
function describeItem(run, item) {
    switch (item.kind) {
        case "message":
            return `${describeMessage(run, item.index)}. Sent at ${formatTime(run.sent[item.index])}.`;
        case "operation":
            return `${describeOperation(run, item.index)}. Sent at ${formatTime(run.invoked[item.index])}.`;
        case "event":
            return `${describeEvent(run.events[item.index])}, at ${formatTime(run.events[item.index][0])}.`;
        case "fault":
            return `Fault: ${run.faults[item.index][1]}, at ${formatTime(run.faults[item.index][0])}.`;
        default: {
            const [time, process, stream, text] = run.output[item.index];
            return `${process} printed at ${formatTime(time)}${stream === "err" ? " (error output)" : ""}: ${text}`;
        }
    }
}

/** The time at which an item begins, and the one at which it ends. */
function spanOf(run, item) {
    if (item.kind === "message")
        return [run.sent[item.index], Math.max(run.arrives[item.index], run.sent[item.index])];
    if (item.kind === "operation") return [run.invoked[item.index], run.returned(item.index)];
    const [time] = { event: run.events, fault: run.faults, line: run.output }[item.kind][item.index];
    return [time, time];
}
