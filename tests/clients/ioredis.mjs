// ioredis: pipelines, transactions, automatic pipelining, sentinels, reconnection.

import { Redis, ReplyError } from 'ioredis';
import {
    check,
    equal,
    eventually,
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

function connect(address, options = {}) {
    const client = new Redis({ ...place(address), ...options });
    client.on('error', () => {}); // Each command tells of it, too.
    return client;
}

async function withClient(address, options, body) {
    const client = connect(address, options);
    try {
        await body(client);
    } finally {
        client.disconnect();
    }
}

async function commands(addresses) {
    const withProtocol = (address, protocol, options, body) =>
        withClient(address, { protocol, ...options }, body);
    await inBothProtocols(addresses, withProtocol, [
        ['values', values],
        ['times to live', timesToLive],
        ['bytes', bytes],
        ['pipelines', pipelines],
        ['MULTI and WATCH', transactions],
        ['automatic pipelining', automatic, { enableAutoPipelining: true }],
        ['errors', errors],
        ['SCAN', scan],
        ['server', server, { connectionName: 'checker' }],
        ['reconnection', reconnection, { retryStrategy: () => 10 }],
    ]);
    await check('refused connection', refused);
}

async function values(client) {
    await client.flushall();
    equal(await client.set('text', 'grüße'), 'OK');
    equal(await client.get('text'), 'grüße');
    equal(await client.get('absent'), null);
    equal(await client.set('text', 'other', 'NX'), null);
    equal(await client.set('text', 'other', 'GET'), 'grüße');
    equal(await client.incr('number'), 1);
    equal(await client.incrbyfloat('number', 0.5), '1.5');
    equal(await client.mset({ a: '1', b: '2' }), 'OK');
    equal(await client.mget('a', 'absent', 'b'), ['1', null, '2']);
    equal(await client.append('a', '23'), 3);
    equal(await client.getdel('a'), '123');
    equal(await client.exists('a', 'b', 'b'), 2);
    equal(await client.del('b', 'text'), 2);
}

async function timesToLive(client) {
    equal(await client.set('long', 'lived', 'EX', 1000), 'OK');
    equal((await client.ttl('long')) > 990, true);
    equal(await client.pexpire('long', 2_000_000, 'GT'), 1);
    equal(await client.getex('long', 'PERSIST'), 'lived');
    equal(await client.ttl('long'), -1);
    await client.set('short', 'lived', 'PX', 1);
    while (await client.exists('short'));
    equal(await client.get('short'), null);
}

async function bytes(client) {
    const key = Buffer.from([0, 13, 10, 255]);
    equal(await client.set(key, LARGE), 'OK');
    equal(LARGE.equals(await client.getBuffer(key)), true);
    equal(await client.getrangeBuffer(key, 255, 257), Buffer.from([255, 0, 1]));
}

async function pipelines(client) {
    const pipeline = client.pipeline();
    for (let number = 0; number < 200; number += 1)
        pipeline.set(`piped:${number}`, number).get(`piped:${number}`);
    const wanted = Array.from({ length: 200 }, (_, number) => [
        [null, 'OK'],
        [null, String(number)],
    ]).flat();
    equal(await pipeline.exec(), wanted);
    const answers = await client.pipeline().set('a', 'text').incr('a').get('a').exec();
    equal(
        [answers[0], answers[2]],
        [
            [null, 'OK'],
            [null, 'text'],
        ],
    );
    equal(answers[1][0] instanceof ReplyError, true);
}

async function transactions(client) {
    await client.del('a', 'b');
    equal(await client.multi().set('a', '1').incr('a').mget('a', 'absent').exec(), [
        [null, 'OK'],
        [null, 2],
        [null, ['2', null]],
    ]);
    await client.watch('a');
    await client.set('a', 'changed');
    equal(await client.multi().set('a', 'lost').exec(), null);
    equal(await client.get('a'), 'changed');
    await client.watch('a');
    equal(await client.multi().set('a', 'kept').exec(), [[null, 'OK']]);
    equal(await client.multi({ pipeline: false }), 'OK');
    equal(await client.set('b', '1'), 'QUEUED');
    equal(await client.discard(), 'OK');
    equal(await client.get('b'), null);
}

async function automatic(client) {
    const numbers = await Promise.all(Array.from({ length: 300 }, () => client.incr('automatic')));
    equal(new Set(numbers).size, 300);
}

async function errors(client) {
    await client.set('text', 'no number');
    await raises(client.incr('text'), {
        name: 'ReplyError',
        message: /^ERR value is not an integer or out of range$/,
    });
    await raises(client.call('NO-SUCH-COMMAND'), {
        name: 'ReplyError',
        message: /^ERR unknown command/,
    });
    await raises(client.call('GET'), {
        name: 'ReplyError',
        message: /wrong number of arguments for 'get' command/,
    });
    await raises(client.set('a', 'b', 'NX', 'XX'), {
        name: 'ReplyError',
        message: /^ERR syntax error$/,
    });
    await raises(client.multi().call('GET').exec(), { name: 'ReplyError', message: /^EXECABORT/ });
}

async function scan(client) {
    await client.flushdb();
    const wanted = Array.from({ length: 500 }, (_, number) => `scanned:${number}`).sort();
    await client.mset(Object.fromEntries(wanted.map((key) => [key, 'x'])));
    const found = new Set();
    for await (const keys of client.scanStream({ match: 'scanned:*', count: 50 }))
        keys.forEach((key) => found.add(key));
    equal([...found].sort(), wanted);
    equal(await client.dbsize(), 500);
}

async function server(client) {
    equal(await client.ping(), 'PONG');
    equal(await client.echo('said'), 'said');
    equal(await client.client('GETNAME'), 'checker');
    equal(/name=checker /.test(await client.client('INFO')), true);
    equal(/redis_version:/.test(await client.info()), true);
    equal(['master', 'slave'].includes((await client.role())[0]), true);
    equal(await client.select(0), 'OK');
    equal((await client.command('COUNT')) > 50, true);
}

async function reconnection(client) {
    const id = await client.client('ID');
    const isBack = happens(client, 'reconnecting');
    await client.client('KILL', 'ID', id, 'SKIPME', 'no').catch(() => {});
    await isBack;
    equal(await client.set('after', 'reconnection'), 'OK');
    equal((await client.client('ID')) > id, true);
}

async function refused() {
    const client = connect('127.0.0.1:1', { retryStrategy: () => null });
    await raises(client.ping(), { message: 'Connection is closed.' });
}

async function sentinelOptions(addresses, options = {}) {
    const plain = connect(addresses.at(-1));
    const [master] = await plain.sentinel('MASTERS');
    plain.disconnect();
    const name = Array.isArray(master) ? master[master.indexOf('name') + 1] : master.name;
    return { sentinels: addresses.map(place), name, retryStrategy: () => 50, ...options };
}

async function cluster(addresses) {
    for (const address of addresses) {
        await check(
            `sentinels: ${address === addresses[0] ? 'first' : address} knows the leader`,
            () =>
                eventually(async () => {
                    const client = new Redis(await sentinelOptions([address]));
                    equal((await client.role())[0], 'master');
                    equal(await client.set('by', 'sentinel'), 'OK');
                    client.disconnect();
                }),
        );
    }
    await check('sentinels: a follower for the role slave', () =>
        eventually(async () => {
            const client = new Redis(await sentinelOptions(addresses, { role: 'slave' }));
            equal((await client.role())[0], 'slave');
            equal(await client.get('by'), 'sentinel');
            client.disconnect();
        }),
    );
    await check('CLIENT SETINFO names the library', () =>
        withClient(addresses.at(-1), {}, async (client) => {
            equal(/lib-name=ioredis lib-ver=6/.test(await client.client('INFO')), true);
        }),
    );
    await check('a write is seen at once at each replica', async () => {
        const clients = addresses.map((address) => connect(address));
        for (let number = 0; number < 60; number += 1) {
            await clients[number % clients.length].set('seen', number);
            equal(
                await Promise.all(clients.map((client) => client.get('seen'))),
                addresses.map(() => String(number)),
            );
        }
        clients.forEach((client) => client.disconnect());
    });
    await check('KV.DO counts once', () =>
        withClient(addresses.at(-1), {}, async (client) => {
            await client.del('once');
            equal(await client.call('KV.DO', 'cafe', '1', 'INCR', 'once'), 1);
            equal(await client.call('KV.DO', 'cafe', '1', 'INCR', 'once'), 1);
        }),
    );
}

async function throughFailover(addresses) {
    const once = { maxRetriesPerRequest: 0, retryStrategy: () => 50 };
    const writer = (name, client, counter) =>
        new Writer(name, {
            set: (key, value) => client.set(key, value),
            get: (key) => client.get(key),
            increment: (key) => counter.incr(key),
        });
    const survivor = addresses.at(-1);
    const writers = [
        writer('plain', connect(survivor, { retryStrategy: () => 50 }), connect(survivor, once)),
    ];
    if (addresses.length > 1) {
        const quietly = (options) => new Redis(options).on('error', () => {});
        const options = await sentinelOptions(addresses);
        writers.push(writer('sentinel', quietly(options), quietly({ ...options, ...once })));
    }
    await failover(writers);
}

async function repeat(client) {
    client.on('error', () => {});
    try {
        note(`INCR returns ${await within(SILENCE_MS, client.incr('repeated'))}`);
    } catch (error) {
        note(`INCR rejects: ${error.name}: ${error.message}`);
    }
}

const ONCE = { maxRetriesPerRequest: 0 };

await main({
    commands,
    cluster,
    failover: throughFailover,
    'repeat-default': ([address]) => repeat(connect(address)),
    'repeat-off': ([address]) => repeat(connect(address, ONCE)),
    'repeat-sentinel': async (addresses) => repeat(new Redis(await sentinelOptions(addresses))),
    'repeat-sentinel-off': async (addresses) =>
        repeat(new Redis(await sentinelOptions(addresses, ONCE))),
});
