// connect-redis: the store of sessions of express-session, on node-redis.

import http from 'node:http';
import { RedisStore } from 'connect-redis';
import session from 'express-session';
import { createClient } from 'redis';
import { check, equal, failover, main, place, Writer } from './checks.mjs';

async function open(address, options = {}) {
    const client = createClient({ socket: place(address) });
    client.on('error', () => {}); // Each command tells of it, too.
    return new RedisStore({ client: await client.connect(), ...options });
}

const lasting = (content) => ({ cookie: { originalMaxAge: null }, ...content });

async function commands(addresses) {
    const store = await open(addresses[0], { prefix: 'session:' });
    const other = await open(addresses.at(-1), { prefix: 'session:' });
    await store.clear();
    await check('get, set and destroy', () => keeps(store, other));
    await check('touch and time to live', () => touches(store));
    await check('ids, all, length and clear', () => lists(store, other));
    await check('pages of express-session', () => pages(store));
}

async function keeps(store, other) {
    equal(await store.get('absent'), null);
    await store.set('one', lasting({ name: 'grüße', visits: 1 }));
    equal((await other.get('one')).name, 'grüße');
    await other.set('one', lasting({ visits: 2 }));
    equal((await store.get('one')).visits, 2);
    await store.destroy('one');
    equal(await other.get('one'), null);
}

async function touches(store) {
    const until = (seconds) => ({ cookie: { expires: new Date(Date.now() + seconds * 1000) } });
    await store.set('brief', until(100));
    const left = () => store.client.ttl('session:brief');
    equal((await left()) <= 100, true);
    await store.touch('brief', until(1000));
    equal((await left()) > 900, true);
    await store.set('brief', until(-1));
    equal(await store.get('brief'), null);
}

async function lists(store, other) {
    await store.clear();
    const wanted = Array.from({ length: 250 }, (_, number) => `listed-${number}`).sort();
    await Promise.all(wanted.map((id) => store.set(id, lasting({ id }))));
    equal((await other.ids()).sort(), wanted);
    equal((await other.all()).map((found) => found.id).sort(), wanted);
    equal(await other.length(), 250);
    await other.clear();
    equal(await store.length(), 0);
}

/** A server whose page counts its visits in the session, and a browser that keeps its cookie. */
async function pages(store) {
    const middleware = session({
        store,
        secret: 'of the tests',
        resave: false,
        saveUninitialized: false,
    });
    const server = http.createServer((request, response) => {
        middleware(request, response, () => {
            if (request.url === '/out') return request.session.destroy(() => response.end('out'));
            request.session.visits = (request.session.visits ?? 0) + 1;
            return response.end(String(request.session.visits));
        });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const browser = () => {
        let cookie = '';
        return async (path) => {
            const response = await fetch(`http://127.0.0.1:${server.address().port}${path}`, {
                headers: { cookie },
            });
            cookie = response.headers.get('set-cookie')?.split(';')[0] ?? cookie;
            return response.text();
        };
    };
    const [one, other] = [browser(), browser()];
    equal([await one('/'), await one('/'), await one('/')], ['1', '2', '3']);
    equal(await other('/'), '1');
    equal(await one('/out'), 'out');
    equal(await one('/'), '1');
    equal(await other('/'), '2');
    server.closeAllConnections();
}

async function throughFailover(addresses) {
    const store = await open(addresses.at(-1));
    const writer = new Writer('sessions', {
        set: (key, value) => store.set(key, lasting({ value })),
        get: async (key) =>
            key.endsWith(':count') ? store.client.get(key) : (await store.get(key))?.value,
        increment: (key) => store.client.incr(key),
    });
    await failover([writer]);
}

await main({
    commands,
    cluster: (addresses) => commands(addresses.reverse()),
    failover: throughFailover,
});
