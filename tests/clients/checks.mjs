// How a script reports its checks to the suite: one line on stdout for each.

import assert from 'node:assert/strict';
import readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

// A phase that writes during a failover goes on until this many writes were acknowledged after it.
const WRITES = 100;
// Service that is not back after that never comes back.
const PATIENCE_MS = 60_000;
// A reply that takes longer never comes.
const REPLY_MS = 30_000;
// A library that gives a command up by itself does so earlier.
export const SILENCE_MS = 15_000;

// A value of a megabyte that has all bytes.
export const LARGE = Buffer.alloc(
    1 << 20,
    Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
);

export const equal = assert.deepEqual;
export const raises = assert.rejects;

export function say(word, rest) {
    process.stdout.write(`${word} ${String(rest).replace(/\s+/g, ' ')}\n`);
}

export function note(text) {
    say('note', text);
}

/** Runs one check. It fails by an exception, such as an assertion that does not hold. */
export async function check(name, body) {
    try {
        await within(REPLY_MS, body());
        say('ok', name);
    } catch (error) {
        const place = /\w+\.mjs:\d+/.exec(error.stack ?? '')?.[0] ?? '';
        say('FAILED', `${name}: ${error.name}: ${error.message.slice(0, 400)} (${place})`);
    }
}

/** Runs checks at each address in both protocols. A check is a name, a body for a client, and options of
 * that client. */
export async function inBothProtocols(addresses, withClient, checks) {
    for (const address of addresses) {
        for (const protocol of [2, 3]) {
            const where = `RESP${protocol}, ${address === addresses[0] ? 'first' : address}`;
            for (const [name, body, options = {}] of checks) {
                await check(`${name}, ${where}`, () =>
                    withClient(address, protocol, options, body),
                );
            }
        }
    }
}

/** The promise, or an error if it takes longer. */
export async function within(limitMs, promise) {
    const stop = new AbortController();
    const limit = sleep(limitMs, null, { signal: stop.signal }).then(() => {
        throw new Error(`no answer for ${limitMs / 1000} s`);
    });
    limit.catch(() => {});
    try {
        return await Promise.race([promise, limit]);
    } finally {
        stop.abort();
    }
}

/** Repeats the body until its assertions hold: the leader may change meanwhile. */
export async function eventually(body) {
    const deadline = performance.now() + REPLY_MS;
    for (;;) {
        try {
            return await body();
        } catch (error) {
            if (performance.now() > deadline) throw error;
            await sleep(50);
        }
    }
}

export function place(address) {
    const [host, port] = address.split(':');
    return { host, port: Number(port) };
}

/** The first event of this name, or of an error. */
export function happens(emitter, name) {
    return within(REPLY_MS, new Promise((resolve) => emitter.once(name, resolve)));
}

/** Writes of one client while the leader is killed: each key once, and a counter. `increment` goes
 * without repetitions by the library. */
export class Writer {
    constructor(name, { set, get, increment }) {
        Object.assign(this, { name, set, get, increment });
        Object.assign(this, {
            acknowledged: [],
            counted: 0,
            uncounted: 0,
            lastAt: 0,
            gapMs: 0,
            next: 0,
        });
    }

    async step() {
        const number = this.next++;
        try {
            await this.set(`${this.name}:${number}`, `value ${number}`);
            this.acknowledged.push(number);
            const now = performance.now();
            this.gapMs = this.lastAt ? Math.max(this.gapMs, now - this.lastAt) : 0;
            this.lastAt = now;
        } catch {
            await sleep(10);
        }
        try {
            await this.increment(`${this.name}:count`);
            this.counted += 1;
        } catch {
            this.uncounted += 1;
        }
    }

    /** Writes until there are so many more acknowledged ones. */
    async write(more) {
        const enough = this.acknowledged.length + more;
        while (this.acknowledged.length < enough) await this.step();
    }

    /** All that was acknowledged must be there. */
    async judge() {
        const lost = [];
        for (const number of this.acknowledged) {
            const value = await this.get(`${this.name}:${number}`);
            if (value !== `value ${number}`) lost.push(number);
        }
        equal(lost, [], 'lost writes');
        const count = Number(await this.get(`${this.name}:count`));
        const most = this.counted + this.uncounted;
        assert(
            this.counted <= count && count <= most,
            `count ${count} is not in ${this.counted} to ${most}`,
        );
    }
}

/** Writes by all writers at once, while the suite kills the leader. */
export async function failover(writers) {
    const first = Promise.all(writers.map((writer) => writer.write(WRITES)));
    await within(PATIENCE_MS, first);
    say('ready', '');
    const input = readline.createInterface({ input: process.stdin });
    let isKilled = false;
    input.once('line', () => {
        isKilled = true;
        input.close();
    });
    const through = writers.map(async (writer) => {
        while (!isKilled) await writer.step();
        await within(PATIENCE_MS, writer.write(WRITES));
    });
    const ends = await Promise.allSettled(through);
    for (const [index, writer] of writers.entries()) {
        await check(`writes through a killed leader, ${writer.name}`, async () => {
            if (ends[index].reason) throw ends[index].reason;
            await writer.judge();
        });
        const gap = (writer.gapMs / 1000).toFixed(2);
        note(
            `${writer.name}: ${writer.acknowledged.length} acknowledged, ` +
                `${writer.uncounted} unknown increments, ${gap} s without service`,
        );
    }
}

/** Runs the phase that the command line names, then ends, whatever is still open. */
export async function main(phases) {
    const [phase, ...addresses] = process.argv.slice(2);
    if (!(phase in phases)) throw new Error(`no such phase: ${phase}`);
    await phases[phase](addresses);
    process.exit(0);
}
