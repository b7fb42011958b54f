// usage: node node_redis.mjs OWNER_SOCKET CONSUMER_SOCKET – exits 0 if node-redis works as it is.
import assert from 'node:assert/strict';
import { WatchError, commandOptions, createClient } from 'redis';
import { eventually } from './eventually.mjs';

const connect = (path) =>
  createClient({ socket: { path, reconnectStrategy: false } }).connect();
const [owner, web] = await Promise.all(process.argv.slice(2).map(connect));

assert.equal(await owner.set('prices/nr-a', '1'), 'OK');
await owner.mSet({ 'prices/nr-b': '2', 'prices/nr-c': 'Käse' });
await eventually(async () => assert.equal(await web.get('prices/nr-c'), 'Käse'));
const values = await Promise.all(['a', 'none', 'b'].map((key) => web.get(`prices/nr-${key}`)));
assert.deepEqual(values, ['1', null, '2']);
assert.deepEqual(await web.mGet(['prices/nr-a', 'prices/nr-b']), ['1', '2']);
assert.deepEqual(await owner.multi().set('prices/nr-a', 'x').del('prices/nr-b').exec(), ['OK', 1]);
await eventually(async () => assert.equal(await web.get('prices/nr-b'), null));
const bytes = await web.get(commandOptions({ returnBuffers: true }), 'prices/nr-a');
assert.deepEqual(bytes, Buffer.from('x'));
const keys = [];
for await (const key of web.scanIterator({ MATCH: 'prices/nr-*', COUNT: 1 })) keys.push(key);
assert.deepEqual(keys.sort(), ['prices/nr-a', 'prices/nr-c']);
assert.equal(await owner.set('prices/nr-e', '1', { EX: 5000, NX: true }), 'OK');
assert.equal(await owner.set('prices/nr-e', '2', { NX: true }), null);
assert.equal(await owner.set('prices/nr-e', '2', { KEEPTTL: true, GET: true }), '1');
await eventually(async () => assert.equal(await web.get('prices/nr-e'), '2'));
assert.ok(await web.pTTL('prices/nr-e') > 4000000);
await owner.watch('prices/nr-e');
const other = owner.duplicate();
await other.connect();
await other.set('prices/nr-e', '3');
await assert.rejects(owner.multi().set('prices/nr-e', '4').exec(), WatchError);
await owner.watch('prices/nr-e');
assert.deepEqual(await owner.multi().set('prices/nr-e', '4').getDel('prices/nr-e').exec(),
                 ['OK', '4']);
await other.quit();
await assert.rejects(web.set('prices/nr-a', '1'), /READONLY/);
await assert.rejects(web.get('other/a'), /NOTSUBSCRIBED/);

const listener = web.duplicate();
await listener.connect();
const heard = new Promise((resolve) => {
  listener.pSubscribe('__keyspace@0__:prices/*', (message, channel) => resolve([channel, message]))
    .then(() => owner.set('prices/nr-d', '1'));
});
assert.deepEqual(await heard, ['__keyspace@0__:prices/nr-d', 'set']);
await Promise.all([owner.quit(), web.quit(), listener.quit()]);
