// The compressed columns of the page -> the arrays of a run. `packing.py` describes the bytes.

const DELIVERED = 0;
const UNDECIDED = 1;
const FIRST_REASON = 2;

/** The run that this page holds. */
async function readRun() {
    const text = atob(document.getElementById("run").textContent.trim());
    const packed = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
    const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Run(new Uint8Array(await new Response(unpacked).arrayBuffer()));
}

/** The lines of a text without line breaks inside, found by number. */
class Lines {
    constructor(bytes) {
        this.text = new TextDecoder().decode(bytes);
        const starts = [0];
        for (let i = 0; i < bytes.length; i++) if (bytes[i] === 10) starts.push(i + 1);
        this.starts = Float64Array.from(starts);
    }

    line(number) {
        const next = number + 1 < this.starts.length ? this.starts[number + 1] - 1 : this.text.length;
        return this.text.slice(this.starts[number], next);
    }

    /** The number of the line that holds the character at `place`. */
    numberAt(place) {
        return upperBound(this.starts, place) - 1;
    }
}

/** Every array that is named for messages has one item per message, in the order of sending. */
class Run {
    constructor(bytes) {
        const length = new DataView(bytes.buffer).getUint32(0, true);
        const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
        const blocks = bytes.subarray(4 + length);
        const column = (name) => numbers(blocks, ...header.columns[name]);
        const text = (name) => {
            const [start, size] = header.texts[name];
            return new Lines(blocks.subarray(start, start + size));
        };
        const kept = [
            "head",
            "end",
            "damage",
            "leftOut",
            "replicas",
            "clients",
            "processes",
            "mids",
            "events",
            "output",
            "faults",
            "advice",
            "types",
            "reasons",
            "leaders",
            "kinds",
            "outcomes",
        ];
        for (const name of kept) this[name] = header[name];
        this.#takeMessages(header, column, text);
        this.#takeOperations(header, column, text);
        this.#findSpan();
    }

    #takeMessages(header, column, text) {
        this.sent = runningTotal(column("sent"), header.firstSent);
        for (const name of ["from", "to", "type", "fate", "leader", "term", "mid"]) {
            this[name] = Uint32Array.from(column(name));
        }
        this.delay = column("delay");
        this.arrives = this.sent.map((time, i) => time + this.delay[i]);
        this.bodyOf = Uint32Array.from(runningTotal(column("news"), -1));
        this.bodies = text("bodies");
        this.copies = Array.from(column("copy"), (message) => ({ message }));
        column("copyDelay").forEach((delay, i) => {
            this.copies[i].delay = delay;
        });
        const bodies = text("changedBodies");
        /** The bodies with which a message arrived, by the message, if the network changed it. */
        this.changed = new Map();
        column("changed").forEach((message, i) =>
            this.changed.set(message, [...(this.changed.get(message) ?? []), JSON.parse(bodies.line(i))]),
        );
        // No message before the first with `reach` >= t is on its way at t.
        this.reach = runningMaximum(this.arrives);
        this.typicalDelay = median(this.delay.filter((_, i) => this.fate[i] === DELIVERED)) || 100;
    }

    #takeOperations(header, column, text) {
        this.invoked = runningTotal(column("invoked"), header.firstInvoked);
        this.took = column("took");
        this.outcome = Uint32Array.from(column("outcome"));
        this.kind = Uint32Array.from(column("kind"));
        this.client = Uint32Array.from(column("client"));
        this.operationMid = Uint32Array.from(column("operationMid"));
        this.calls = text("operations");
        this.operationOf = new Map(Array.from(this.operationMid, (mid, i) => [mid, i]));
    }

    #findSpan() {
        const last = (times) => (times.length ? times[times.length - 1] : 0);
        const ends = [
            this.end?.time ?? 0,
            last(this.reach),
            last(this.invoked),
            ...[this.events, this.output, this.faults].map((records) => records.at(-1)?.[0] ?? 0),
        ];
        const starts = [
            this.sent[0] ?? 0,
            this.invoked[0] ?? 0,
            ...[this.events, this.output, this.faults].map((records) => records[0]?.[0] ?? 0),
        ];
        this.start = Math.min(0, ...starts);
        this.finish = Math.max(this.start + 1000, ...ends);
    }

    /** Whether an operation has its end. */
    isOver(operation) {
        return this.outcomes[this.outcome[operation]] !== "";
    }

    returned(operation) {
        return this.isOver(operation) ? this.invoked[operation] + this.took[operation] : this.finish;
    }

    /** The call and the answer of an operation. */
    call(operation) {
        return JSON.parse(this.calls.line(operation));
    }

    bodyText(message) {
        return this.bodies.line(this.bodyOf[message]);
    }

    isPeer(process) {
        return process >= this.clients.length && process < this.clients.length + this.replicas.length;
    }

    isClient(process) {
        return process < this.clients.length;
    }

    isLost(message) {
        return this.fate[message] >= FIRST_REASON;
    }

    /** The range of messages that may be on their way between two times. */
    range(from, to) {
        return [lowerBound(this.reach, from), upperBound(this.sent, to)];
    }
}

/** Whole numbers of `width` bytes each: the lowest bytes of all of them first, then the next. */
function numbers(blocks, start, count, width) {
    const values = new Float64Array(count);
    for (let place = 0, unit = 1; place < width; place++, unit *= 256) {
        const bytes = blocks.subarray(start + place * count, start + (place + 1) * count);
        for (let i = 0; i < count; i++) values[i] += bytes[i] * unit;
    }
    return values;
}

function runningTotal(steps, first) {
    let total = first;
    return steps.map((step) => (total += step));
}

function runningMaximum(values) {
    let most = -Infinity;
    return values.map((value) => (most = Math.max(most, value)));
}

function median(values) {
    return quantile(Float64Array.from(values).sort(), 0.5);
}

/** The value below which a fraction of the sorted values lies; NaN if there are none. */
function quantile(sorted, fraction) {
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] : NaN;
}

/** The first index of the sorted values whose value is at least `value`. */
function lowerBound(sorted, value) {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (sorted[middle] < value) low = middle + 1;
        else high = middle;
    }
    return low;
}

/** The first index of the sorted values whose value is above `value`. */
function upperBound(sorted, value) {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (sorted[middle] <= value) low = middle + 1;
        else high = middle;
    }
    return low;
}
