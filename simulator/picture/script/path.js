// The path of one request: the messages that carried it from its client to the replicas and back.
//
// A replica names the requests that it copies in a way of its own. So a message between replicas
// belongs to the path if it is sent while the request lasts and holds its MID, or its key and its
// value. The first message that a replica then sends back is probably its acknowledgement.

const MOST_SEARCHED = 5000;
const MOST_FOLLOWED = 24;

/** The path of an operation, or `null` if there is none. */
function pathOf(run, operation) {
    if (operation === undefined || operation < 0) return null;
    const attempts = attemptsOf(run, operation);
    const from = Math.min(...attempts.map((one) => run.invoked[one]));
    const to = Math.max(...attempts.map((one) => run.returned(one)));
    const mids = new Set(attempts.map((one) => run.operationMid[one]));
    const steps = new Map();
    const [low, high] = run.range(from, to);
    addClientMessages(run, low, high, run.client[operation], mids, steps);
    const carriers = addCarriers(run, low, high, attempts, mids, steps);
    addReplies(run, carriers, to, steps);
    const inOrder = [...steps.values()].sort((a, b) => run.sent[a.message] - run.sent[b.message]);
    return { operation, attempts, from, to, steps: inOrder };
}

/** The messages of all requests of a place, and the messages that show it by themselves. */
function pathOfPlace(run, { marked, messages = [], item, from, to }) {
    const isFew = marked.length <= MOST_FOLLOWED;
    const followed = isFew ? marked : marked.filter((one) => one === item?.index);
    const steps = new Map(messages.map((message) => [message, { message, role: "evidence", isSure: true }]));
    for (const operation of followed)
        for (const step of pathOf(run, operation).steps)
            if (!steps.get(step.message)?.isSure) steps.set(step.message, step);
    if (!steps.size) return null;
    const inOrder = [...steps.values()].sort((a, b) => run.sent[a.message] - run.sent[b.message]);
    const title = marked.length
        ? `Messages of ${plural(followed.length, "marked request")}`
        : "Messages that show the fault";
    return { attempts: [], from, to, steps: inOrder, title };
}

/** An operation with its earlier and later attempts. */
function attemptsOf(run, operation) {
    const { first, byFirst } = links(run);
    return byFirst.get(first[operation]);
}

/** The first attempt of each operation, and all attempts by the first. A client repeats a declined one. */
function links(run) {
    if (run.links) return run.links;
    const byMid = new Map(Array.from(run.operationMid, (mid, i) => [run.mids[mid], i]));
    const first = new Uint32Array(run.invoked.length);
    const byFirst = new Map();
    for (let i = 0; i < first.length; i++) {
        const before = byMid.get(earlierMid(run, i));
        first[i] = before === undefined || before >= i ? i : first[before];
        byFirst.set(first[i], [...(byFirst.get(first[i]) ?? []), i]);
    }
    run.links = { first, byFirst };
    return run.links;
}

/** The MID of the attempt before an operation, if it repeats one. */
function earlierMid(run, operation) {
    if (!/"(before|retry_of)":/.test(run.calls.line(operation))) return undefined;
    const [call, answer] = run.call(operation);
    return call.before ?? call.retry_of ?? answer.retry_of;
}

/** All requests: their first attempt, their last one, and the time from one's start to the other's end. */
function requestsOf(run) {
    run.requests ??= Array.from(links(run).byFirst, ([first, attempts]) => {
        const last = attempts.at(-1);
        const isAnswered = run.outcomes[run.outcome[last]] === "ok";
        return {
            first,
            last,
            isAnswered,
            latency: isAnswered ? run.returned(last) - run.invoked[first] : NaN,
        };
    });
    return run.requests;
}

function addClientMessages(run, low, high, client, mids, steps) {
    for (let i = low; i < high; i++) {
        const isRequest = run.from[i] === client;
        if (!isRequest && run.to[i] !== client) continue;
        if (!mids.has(run.mid[i]) && !(isRequest && repeats(run, i, mids))) continue;
        mids.add(run.mid[i]);
        steps.set(i, { message: i, role: isRequest ? "request" : "answer", isSure: true });
    }
}

/** Whether a request says that it repeats one of those with these MIDs. */
function repeats(run, message, mids) {
    const repeated = run.bodyText(message).match(/"retry_of":"([^"]*)"/)?.[1];
    return repeated !== undefined && mids.has(run.mids.indexOf(repeated));
}

function addCarriers(run, low, high, attempts, mids, steps) {
    const names = [...mids].map((mid) => jsonOf(run.mids[mid]));
    const [call] = run.call(attempts[0]);
    const content = [call.key, call.value].map((text) => jsonOf(text ?? ""));
    const hasContent = isDistinct(call.value);
    const carriers = [];
    for (let i = low; i < high; i++) {
        if (!run.isPeer(run.from[i]) || !run.isPeer(run.to[i])) continue;
        const body = run.bodyText(i);
        const carries =
            names.some((name) => body.includes(name)) ||
            (hasContent && content.every((text) => body.includes(text)));
        if (!carries) continue;
        carriers.push(i);
        steps.set(i, { message: i, role: "copies", isSure: true });
    }
    return carriers;
}

/** Whether a value is long enough to be taken for that of one request alone. */
function isDistinct(value) {
    return typeof value === "string" && value.length > 3;
}

/** The operations whose MID, or whose key and value, a message holds. */
function requestsIn(run, message) {
    run.named ??= namesOfOperations(run);
    const texts = new Set(run.bodyText(message).match(/"(?:[^"\\]|\\.)*"/g));
    const found = new Set();
    for (const text of texts) {
        const [byMid, byValue] = [run.named.mids.get(text), run.named.values.get(text)];
        if (byMid !== undefined) found.add(byMid);
        else if (byValue && texts.has(byValue.key)) found.add(byValue.operation);
    }
    return [...found];
}

/** The operations by their MID and by their value, both as JSON writes them. */
function namesOfOperations(run) {
    const [mids, values] = [new Map(), new Map()];
    for (let operation = 0; operation < run.invoked.length; operation++) {
        mids.set(jsonOf(run.mids[run.operationMid[operation]]), operation);
        const [{ key, value }] = run.call(operation);
        if (isDistinct(value)) values.set(jsonOf(value), { operation, key: jsonOf(key ?? "") });
    }
    return { mids, values };
}

function addReplies(run, carriers, to, steps) {
    const senders = new Set(carriers.map((i) => run.from[i]));
    for (const carrier of carriers) {
        if (run.fate[carrier] !== DELIVERED) continue;
        const start = lowerBound(run.sent, run.arrives[carrier]);
        for (let i = start; i < Math.min(start + MOST_SEARCHED, run.sent.length) && run.sent[i] <= to; i++) {
            if (run.from[i] !== run.to[carrier] || !senders.has(run.to[i]) || steps.get(i)?.isSure) continue;
            steps.set(i, { message: i, role: "reply", isSure: false });
            break;
        }
    }
}
