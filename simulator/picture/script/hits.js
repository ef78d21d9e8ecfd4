// The hits of a search, in the order of time: messages, log lines, events and faults.

const RECORD_NOUNS = { line: "log line", event: "event", fault: "fault" };

/** The items that a search has found. Messages are numbers, because they may be very many. */
class Hits {
    constructor(run, messages = new Uint32Array(), records = []) {
        Object.assign(this, { run, messages, records });
        this.order = this.#merge();
    }

    get length() {
        return this.order.length;
    }

    /** The hit with a number, as an item that can be selected. */
    item(number) {
        const place = this.order[number];
        return place < 0 ? this.records[-1 - place].item : { kind: "message", index: place };
    }

    /** The number of the first hit at or after a time, or the first of all. */
    firstFrom(time) {
        const [low, high] = [lowerBound(this.run.sent, time), this.order.length];
        const isBefore = (place) => (place < 0 ? this.records[-1 - place].time < time : place < low);
        const number = this.order.findIndex((place) => !isBefore(place));
        return number < 0 || number >= high ? 0 : number;
    }

    /** How many there are, in words. */
    describe() {
        const counts = new Map();
        for (const { item } of this.records) counts.set(item.kind, (counts.get(item.kind) ?? 0) + 1);
        const parts = this.messages.length ? [plural(this.messages.length, "message")] : [];
        for (const [kind, noun] of Object.entries(RECORD_NOUNS))
            if (counts.has(kind)) parts.push(plural(counts.get(kind), noun));
        return parts.join(", ");
    }

    /** Both kinds in the order of time: a message by its number, a record by -1 minus its place. */
    #merge() {
        const { run, messages, records } = this;
        const order = new Int32Array(messages.length + records.length);
        let next = 0;
        let record = 0;
        for (const message of messages) {
            while (record < records.length && records[record].time < run.sent[message])
                order[next++] = -1 - record++;
            order[next++] = message;
        }
        while (record < records.length) order[next++] = -1 - record++;
        return order;
    }
}

/** The log lines, events and faults of a run with their times, words and replicas, in order. */
function recordsOf(run) {
    run.records ??= [...lineRecords(run), ...eventRecords(run), ...faultRecords(run)].sort(
        (a, b) => a.time - b.time,
    );
    return run.records;
}

function lineRecords(run) {
    return run.output.map(([time, id, , text], index) => ({
        item: { kind: "line", index },
        time,
        text: text.toLowerCase(),
        ids: [id],
        mids: [],
    }));
}

function eventRecords(run) {
    const isTold = (index) => run.events[index][1] === "note" && isMinor(run, index);
    return run.events
        .map((event, index) => ({
            item: { kind: "event", index },
            time: event[0],
            text: `${textOf(run, index)} ${event[1]}`.toLowerCase(),
            ids: Object.values(event[2]).flat(),
            mids: [event[2].mid],
        }))
        .filter(({ item }) => !isTold(item.index));
}

function faultRecords(run) {
    return run.faults.map(([time, text, data], index) => ({
        item: { kind: "fault", index },
        time,
        text: text.toLowerCase(),
        ids: data.replicas ?? [],
        mids: data.mids ?? [],
    }));
}
