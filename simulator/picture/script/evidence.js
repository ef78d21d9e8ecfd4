// The evidence of a fault: the messages and requests that its words are about, as far as they tell.

// A message that breaks a rule of the protocol, and the fault about it, are written at one moment.
const SAME_MOMENT = 2 * MILLISECOND;
const MOST_EVIDENCE = 12;
const BROKEN = new Set(["malformed", "unknown"]);

/** The messages that a fault is about, as far as its words tell them. */
function evidenceOf(run, time, text, replicas) {
    const senders = replicas.map((id) => run.processes.indexOf(id)).filter((process) => process >= 0);
    const [low, high] = run.range(time - SAME_MOMENT, time + SAME_MOMENT);
    const near = Array.from({ length: Math.max(0, high - low) }, (_, i) => low + i);
    const broken = near.filter((i) => run.isLost(i) && BROKEN.has(run.reasons[run.fate[i] - FIRST_REASON]));
    if (broken.length && !/MID/.test(text)) return nearest(run, broken, time);
    const mid = run.mids.indexOf(text.match(/MID '([^']*)'/)?.[1] ?? "");
    if (mid > 0)
        return nearest(
            run,
            near.filter((i) => run.mid[i] === mid),
            time,
        );
    return messagesOfRule(run, time, text, senders);
}

/** The one of some messages that was sent nearest to a time, as a list. */
function nearest(run, messages, time) {
    const distance = (i) => Math.abs(run.sent[i] - time);
    return messages.sort((a, b) => distance(a) - distance(b)).slice(0, 1);
}

/** The last messages between the replicas that a broken rule names, of the term that it names. */
function messagesOfRule(run, time, text, processes) {
    const term = Number(text.match(/\bterm (\d+)/)?.[1] ?? 0);
    if (!processes.length) return [];
    const told = run.processes.map((id, process) => run.isPeer(process) && text.includes(id));
    const isBetween = told.filter(Boolean).length > 1;
    const isMeant = (i) => {
        const ends = [run.from[i], run.to[i]];
        if (run.isLost(i) || !ends.every((end) => run.isPeer(end))) return false;
        return ends.some((end) => processes.includes(end)) && (!isBetween || ends.every((end) => told[end]));
    };
    const isVote = (i) => !/\bvote/.test(text) || /vote/i.test(run.types[run.type[i]]);
    const ofTerm = lastMessages(run, time, MOST_EVIDENCE, (i) => run.term[i] === term && isMeant(i) && isVote(i));
    return ofTerm.length ? ofTerm : lastMessages(run, time, MOST_NEIGHBOURS, isMeant);
}

/** The last messages before a time that pass a test, as many as `most`. */
function lastMessages(run, time, most, isMeant) {
    const found = [];
    for (let i = upperBound(run.sent, time) - 1; i >= 0 && found.length < most; i--) {
        if (isMeant(i)) found.push(i);
    }
    return found;
}

/** The requests that the text of a broken rule names, also where the trace does not list them. */
function requestsNamedIn(run, text) {
    const mids = [...text.matchAll(/\b([0-9a-f]+) (?:got|took effect|of client)\b/g)].map(([, mid]) => mid);
    return mids.map((mid) => run.operationOf.get(run.mids.indexOf(mid))).filter((one) => one !== undefined);
}

/** A read, with the write of its value and the last write of its key that was answered before it. */
function contextOf(run, read, text) {
    const [{ key }, answer] = run.call(read);
    const value = answer.value ?? text.match(/ got (\w+)/)?.[1];
    if (value === undefined) return [read];
    let [source, newest] = [-1, -1];
    for (let i = 0; i < run.invoked.length && run.invoked[i] <= run.returned(read); i++) {
        const [call] = run.call(i);
        if (call.key !== key || call.type === "get") continue;
        if (call.value === value || call.to === value) source = i;
        const isAnswered = run.outcomes[run.outcome[i]] === "ok" && run.returned(i) < run.invoked[read];
        if (isAnswered && (newest < 0 || run.returned(i) > run.returned(newest))) newest = i;
    }
    return [...new Set([source, newest, read])].filter((one) => one >= 0).sort((a, b) => a - b);
}
