// usage: node node_redis_cache.mjs OWNER_SOCKET CONSUMER_SOCKET – exits 0 if node-redis' own
// client-side cache (CLIENT TRACKING over RESP3) answers without asking and is never left stale.
import assert from 'node:assert/strict';
import { createClient } from 'redis5';
import { eventually } from './eventually.mjs';

const connect = (path, options) =>
  createClient({ RESP: 3, socket: { path, reconnectStrategy: false }, ...options }).connect();
const owner = await connect(process.argv[2]);
const web = await connect(process.argv[3], { clientSideCache: { ttl: 0, maxEntries: 0 } });
const cache = web.clientSideCache;
const asked = () => cache.stats().missCount;

await owner.mSet({ 'prices/cc-a': '1', 'prices/cc-b': '2' });
await eventually(async () => assert.equal(await web.get('prices/cc-a'), '1'));
const before = asked();
for (let i = 0; i < 100; ++i) assert.equal(await web.get('prices/cc-a'), '1');
assert.equal(asked(), before, 'a cached key was asked for again');

// A change takes it back, and what is cached afterwards is the newest value.
for (let i = 0; i < 200; ++i) {
  await owner.set('prices/cc-a', String(i));
  await eventually(async () => assert.equal(await web.get('prices/cc-a'), String(i)));
}
assert.deepEqual(await web.mGet(['prices/cc-a', 'prices/cc-b']), ['199', '2']);
await owner.del('prices/cc-b');
await eventually(async () => assert.equal(await web.get('prices/cc-b'), null));
await owner.set('prices/cc-b', 'again'); // absence was cached
await eventually(async () => assert.equal(await web.get('prices/cc-b'), 'again'));

// What the control plane answers is not kept.
await web.sendCommand(['TRIB.CONSISTENCY', 'STRONG']);
for (let i = 0; i < 50; ++i) {
  await owner.set('prices/cc-c', String(i));
  assert.equal(await web.get('prices/cc-c'), String(i));
}
await Promise.all([owner.close(), web.close()]);
