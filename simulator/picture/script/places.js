// Where in the diagram a failed check, a fault, an event or a piece of advice shows, and its words.
//
// A place has the times `from` and `to`, the requests `marked` and the `messages` that show it, the
// `item` that is selected, the `replica` whose lane is chosen, and the `words` that explain it.

const NEAR = 5 * MILLISECOND;
const AROUND_EVENT = 100 * MILLISECOND;

class Places {
    constructor(run) {
        this.run = run;
        this.end = run.end ?? {};
    }

    /** The place of a failed check; `null` if it has none in particular. */
    ofCheck(check) {
        const place = this.#findCheck(check);
        return place && { ...place, words: place.words?.length ? place.words : sentencesOf(check.text ?? "") };
    }

    #findCheck(check) {
        const { run } = this;
        const place = this.#ofFaultOf(check);
        if (place) return place;
        if (/linearizab/i.test(check.name)) {
            const { mids, text } = this.end.linearizability ?? {};
            const requests = this.ofOperations(this.operations(mids));
            return requests && this.#contradiction(requests, sentencesOf(text ?? ""));
        }
        if (/incorrect/i.test(check.name) && run.faults.length) return this.ofFault(0);
        if (/died/i.test(check.name)) return this.#ofFirstEvent(([, kind]) => kind === "end");
        if (/generated/i.test(check.name))
            return this.#ofFirstEvent(([, kind, data]) => kind === "no_get" && data.withheld);
        if (/seconds/i.test(check.name)) return placeAt(run.finish - SECOND / 2, SECOND / 2);
        if (/unanswered|acknowledged/i.test(check.name)) return this.#ofUnanswered(check);
        if (/fail/i.test(check.name)) return this.#ofFirst([...run.outcome.keys()].filter(isFailure(run)));
        return null;
    }

    /** The request that the first sentence names first is the one that nothing explains. */
    #contradiction(place, words) {
        const named = words[0].match(/\b[0-9a-f]+\b/g) ?? [];
        const [culprit] = named.flatMap((mid) => this.operations([mid]));
        const item = culprit === undefined ? place.item : { kind: "operation", index: culprit };
        return { ...place, item, words };
    }

    #ofFaultOf(check) {
        const index = this.run.faults.findIndex(([, text]) => check.text && text.startsWith(check.text));
        return index < 0 ? null : this.ofFault(index);
    }

    #ofUnanswered(check) {
        const { run } = this;
        const isMeant = (i) => {
            const isGet = run.kinds[run.kind[i]] === "get";
            return /get/.test(check.name) ? isGet : !isGet || !/put/.test(check.name);
        };
        const open = requestsOf(run).filter((one) => !one.isAnswered && !isFailure(run)(one.last));
        return this.#ofFirst(open.map((one) => one.last).filter(isMeant));
    }

    /** The first of some requests, with all of them marked. */
    #ofFirst(requests) {
        return this.ofOperations(requests.slice(0, 1), requests);
    }

    /** The requests with these MIDs, in order. */
    operations(mids) {
        const { run } = this;
        const numbers = (mids ?? []).map((mid) => run.operationOf.get(run.mids.indexOf(mid)));
        return [...new Set(numbers.filter((number) => number !== undefined))].sort((a, b) => a - b);
    }

    /** The place of some requests, or `null` without one. */
    ofOperations(operations, marked = operations) {
        const { run } = this;
        if (!operations.length) return null;
        return {
            from: Math.min(...operations.map((i) => run.invoked[i])),
            to: Math.max(...operations.map((i) => run.returned(i))),
            marked,
            item: { kind: "operation", index: Math.max(...operations) },
        };
    }

    ofEvent(index, before = AROUND_EVENT, after = AROUND_EVENT) {
        const [time] = this.run.events[index];
        const item = { kind: "event", index };
        return { from: time - before, to: time + after, marked: [], item };
    }

    #ofFirstEvent(isMeant) {
        const index = this.run.events.findIndex(isMeant);
        return index < 0 ? null : this.ofEvent(index);
    }

    ofFault(index) {
        const [time, text, data] = this.run.faults[index];
        const place = this.#ofEvidence(time, text, data);
        return { ...place, item: { kind: "fault", index }, words: sentencesOf(text) };
    }

    ofAdvice({ time, text, mids, replicas }) {
        const words = [text];
        if (time === null && !mids.length) return null;
        return { ...this.#ofEvidence((time ?? 0) * SECOND, text, { mids, replicas }), words };
    }

    /** The requests that a text names, or else the messages that it is about, or else its moment. */
    #ofEvidence(time, text, data) {
        const { run } = this;
        const replica = run.replicas.indexOf((data.replicas ?? [])[0]);
        const named = this.operations(data.mids);
        const requests = named.length ? named : requestsNamedIn(run, text);
        const place = this.ofOperations(requests.length === 1 ? contextOf(run, requests[0], text) : requests);
        if (place) return { ...place, replica };
        const messages = evidenceOf(run, time, text, data.replicas ?? []);
        if (!messages.length) return { ...placeAt(time, NEAR), replica };
        return {
            ...placeAt(time, NEAR),
            from: Math.min(time, ...messages.map((i) => run.sent[i])) - MILLISECOND,
            to: Math.max(time, ...messages.map((i) => run.arrives[i])) + MILLISECOND,
            messages,
            replica,
        };
    }
}

function isFailure(run) {
    return (operation) => run.outcomes[run.outcome[operation]] === "fail";
}

function placeAt(time, around) {
    return { from: time - around, to: time + around, marked: [], item: null };
}

/** The sentences of an explanation, without its tables, its list of events and their headings. */
function sentencesOf(text) {
    const isSentence = (line) => /^[^\s[]/.test(line) && !/:$|^not linearizable:|^and [\d,]+ more/.test(line);
    const sentences = text.split("\n").filter(isSentence);
    return sentences.length ? sentences : text.split("\n").slice(0, 1);
}
