// node-redis: its commands, transactions, the legacy interface, sentinels, reconnection.

import { createClient, createSentinel, RESP_TYPES } from 'redis';
import {
    check,
    equal,
    failover,
    happens,
    inBothProtocols,
    LARGE,
    main,
    note,
    place,
    raises,
    SILENCE_MS,
    within,
    Writer,
} from './checks.mjs';

async function connect(address, options = {}) {
    const client = createClient({ ...options, socket: { ...place(address), ...options.socket } });
    client.on('error', () => {}); // Each command tells of it, too.
    return client.connect();
}

async function withClient(address, options, body) {
    const client = await connect(address, options);
    try {
        await body(client);
    } finally {
        if (client.isOpen) client.destroy();
    }
}

async function commands(addresses) {
    const withProtocol = (address, RESP, options, body) =>
        withClient(address, { RESP, ...options }, body);
    await inBothProtocols(addresses, withProtocol, [
        ['values', values],
        ['times to live', timesToLive],
        ['bytes', bytes],
        ['pipelines', pipelines],
        ['MULTI and WATCH', transactions],
        ['legacy interface', legacy],
        ['errors', errors],
        ['SCAN', scan],
        ['server', server, { name: 'checker' }],
        ['reconnection', reconnection, { socket: { reconnectStrategy: () => 10 } }],
    ]);
    await check('refused connection', async () => {
        await raises(connect('127.0.0.1:1', { socket: { reconnectStrategy: false } }), {
            code: 'ECONNREFUSED',
        });
    });
}

async function values(client) {
    await client.flushAll();
    equal(await client.set('text', 'grüße'), 'OK');
    equal(await client.get('text'), 'grüße');
    equal(await client.get('absent'), null);
    equal(await client.set('text', 'other', { condition: 'NX' }), null);
    equal(await client.set('text', 'other', { GET: true }), 'grüße');
    equal(await client.incr('number'), 1);
    equal(Number(await client.incrByFloat('number', 0.5)), 1.5);
    equal(await client.mSet({ a: '1', b: '2' }), 'OK');
    equal(await client.mGet(['a', 'absent', 'b']), ['1', null, '2']);
    equal(await client.append('a', '23'), 3);
    equal(await client.getDel('a'), '123');
    equal(await client.exists(['a', 'b', 'b']), 2);
    equal(await client.del(['b', 'text']), 2);
}

async function timesToLive(client) {
    equal(await client.set('long', 'lived', { expiration: { type: 'EX', value: 1000 } }), 'OK');
    equal((await client.ttl('long')) > 990, true);
    equal(await client.pExpire('long', 2_000_000, 'GT'), 1);
    equal(await client.getEx('long', { type: 'PERSIST' }), 'lived');
    equal(await client.ttl('long'), -1);
    await client.set('short', 'lived', { expiration: { type: 'PX', value: 1 } });
    while (await client.exists('short'));
    equal(await client.get('short'), null);
}

async function bytes(client) {
    const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const key = Buffer.from([0, 13, 10, 255]);
    equal(String(await binary.set(key, LARGE)), 'OK');
    equal(LARGE.equals(await binary.get(key)), true);
    equal(await binary.getRange(key, 255, 257), Buffer.from([255, 0, 1]));
}

async function pipelines(client) {
    const asked = Array.from({ length: 300 }, (_, number) =>
        Promise.all([client.set(`piped:${number}`, String(number)), client.get(`piped:${number}`)]),
    );
    equal(
        await Promise.all(asked),
        Array.from({ length: 300 }, (_, number) => ['OK', String(number)]),
    );
    const together = client.multi().set('a', '1').incr('a').get('a');
    equal(await together.execAsPipeline(), ['OK', 2, '2']);
}

async function transactions(client) {
    await client.del('a');
    equal(await client.multi().set('a', '1').incr('a').mGet(['a', 'absent']).exec(), [
        'OK',
        2,
        ['2', null],
    ]);
    await client.watch('a');
    await client.set('a', 'changed');
    await refused(client.multi().set('a', 'lost').exec(), 'WatchError');
    equal(await client.get('a'), 'changed');
    await client.watch('a');
    equal(await client.multi().set('a', 'kept').exec(), ['OK']);
    await refused(client.multi().set('a', 'text').incr('a').exec(), 'MultiErrorReply');
}

async function legacy(client) {
    const old = client.legacy();
    const call = (method, ...words) =>
        new Promise((resolve, reject) => {
            old[method](...words, (error, reply) => (error ? reject(error) : resolve(reply)));
        });
    equal(await call('set', 'old', '1'), 'OK');
    equal(await call('incr', 'old'), 2);
    equal(await call('mGet', ['old', 'absent']), ['2', null]);
    const replies = await new Promise((resolve, reject) => {
        old.multi()
            .set('old', '5')
            .get('old')
            .exec((error, found) => (error ? reject(error) : resolve(found)));
    });
    equal(replies, ['OK', '5']);
}

/** The promise must be rejected with an error of this class. */
function refused(promise, kind, message = /^/) {
    return raises(promise, (error) => {
        equal(error.constructor.name, kind);
        equal(message.test(error.message), true, error.message);
        return true;
    });
}

async function errors(client) {
    await client.set('text', 'no number');
    await refused(
        client.incr('text'),
        'SimpleError',
        /^ERR value is not an integer or out of range$/,
    );
    await refused(client.sendCommand(['NO-SUCH-COMMAND']), 'SimpleError', /^ERR unknown command/);
    await refused(
        client.sendCommand(['GET']),
        'SimpleError',
        /wrong number of arguments for 'get' command/,
    );
    await refused(
        client.sendCommand(['SET', 'a', 'b', 'NX', 'XX']),
        'SimpleError',
        /^ERR syntax error$/,
    );
}

async function scan(client) {
    await client.flushDb();
    const wanted = Array.from({ length: 500 }, (_, number) => `scanned:${number}`).sort();
    await client.mSet(wanted.map((key) => [key, 'x']));
    const found = new Set();
    for await (const keys of client.scanIterator({ MATCH: 'scanned:*', COUNT: 50 }))
        keys.forEach((key) => found.add(key));
    equal([...found].sort(), wanted);
    equal(await client.dbSize(), 500);
}

async function server(client) {
    equal(await client.ping(), 'PONG');
    equal(await client.echo('said'), 'said');
    equal(await client.clientGetName(), 'checker');
    equal((await client.clientInfo()).name, 'checker');
    equal(/redis_version:/.test(await client.info()), true);
    equal(['master', 'slave'].includes((await client.role()).role), true);
    equal((await client.commandCount()) > 50, true);
    equal('maxmemory' in (await client.configGet('maxmemory')), true);
}

async function reconnection(client) {
    const id = await client.clientId();
    const isBack = happens(client, 'ready');
    await client.sendCommand(['CLIENT', 'KILL', 'ID', String(id), 'SKIPME', 'no']).catch(() => {});
    await isBack;
    equal(await client.set('after', 'reconnection'), 'OK');
    equal((await client.clientId()) > id, true);
}

async function sentinel(addresses, options = {}) {
    const plain = await connect(addresses.at(-1));
    const [master] = await plain.sendCommand(['SENTINEL', 'MASTERS']);
    plain.destroy();
    const name = Array.isArray(master) ? master[master.indexOf('name') + 1] : master.name;
    const found = createSentinel({
        name,
        sentinelRootNodes: addresses.map(place),
        scanInterval: 500,
        ...options,
    });
    found.on('error', () => {});
    return within(30_000, found.connect());
}

async function cluster(addresses) {
    for (const address of addresses) {
        await check(
            `createSentinel: ${address === addresses[0] ? 'first' : address} knows the leader`,
            async () => {
                const client = await sentinel([address]);
                equal(await client.set('by', 'sentinel'), 'OK');
                equal(await client.get('by'), 'sentinel');
                equal(await client.multi().set('a', '1').incr('a').exec(), ['OK', 2]);
                await client.destroy();
            },
        );
    }
    await check('CLIENT SETINFO names the library', () =>
        withClient(addresses.at(-1), {}, async (client) => {
            equal(
                /lib-name=node-redis lib-ver=6/.test(await client.sendCommand(['CLIENT', 'INFO'])),
                true,
            );
        }),
    );
    await check('a write is seen at once at each replica', async () => {
        const clients = await Promise.all(addresses.map((address) => connect(address)));
        for (let number = 0; number < 60; number += 1) {
            await clients[number % clients.length].set('seen', String(number));
            equal(
                await Promise.all(clients.map((client) => client.get('seen'))),
                addresses.map(() => String(number)),
            );
        }
        clients.forEach((client) => client.destroy());
    });
    await check('KV.DO counts once', () =>
        withClient(addresses.at(-1), {}, async (client) => {
            await client.del('once');
            equal(await client.sendCommand(['KV.DO', 'babe', '1', 'INCR', 'once']), 1);
            equal(await client.sendCommand(['KV.DO', 'babe', '1', 'INCR', 'once']), 1);
        }),
    );
}

async function throughFailover(addresses) {
    const writer = (name, client, counter) =>
        new Writer(name, {
            set: (key, value) => client.set(key, value),
            get: (key) => client.get(key),
            increment: (key) => counter.incr(key),
        });
    const plain = await connect(addresses.at(-1));
    const writers = [writer('plain', plain, plain)];
    if (addresses.length > 1) {
        const counter = await sentinel(addresses, { maxCommandRediscovers: 0 });
        writers.push(writer('sentinel', await sentinel(addresses), counter));
    }
    await failover(writers);
}

async function repeat(client) {
    try {
        note(`INCR returns ${await within(SILENCE_MS, client.incr('repeated'))}`);
    } catch (error) {
        note(`INCR rejects: ${error.constructor.name}: ${error.message}`);
    }
}

await main({
    commands,
    cluster,
    failover: throughFailover,
    'repeat-default': async ([address]) => repeat(await connect(address)),
    'repeat-sentinel': async (addresses) => repeat(await sentinel(addresses)),
    'repeat-sentinel-off': async (addresses) =>
        repeat(await sentinel(addresses, { maxCommandRediscovers: 0 })),
});
