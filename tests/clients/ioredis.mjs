// usage: node ioredis.mjs OWNER_SOCKET CONSUMER_SOCKET – exits 0 if ioredis works as it is.
import assert from 'node:assert/strict';
import Redis from 'ioredis';
import { eventually } from './eventually.mjs';

const [ownerPath, webPath] = process.argv.slice(2);
const owner = new Redis({ path: ownerPath, maxRetriesPerRequest: 1 });
const web = new Redis({ path: webPath, maxRetriesPerRequest: 1 });
const errors = [];
owner.on('error', (error) => errors.push(error));
web.on('error', (error) => errors.push(error));

assert.equal(await owner.set('prices/io-a', '1'), 'OK');
await owner.mset({ 'prices/io-b': '2', 'prices/io-c': 'Käse' });
await eventually(async () => assert.equal(await web.get('prices/io-c'), 'Käse'));
assert.deepEqual(await web.mget('prices/io-a', 'prices/none', 'prices/io-b'), ['1', null, '2']);
const piped = await web.pipeline().get('prices/io-a').strlen('prices/io-b').exec();
assert.deepEqual(piped, [[null, '1'], [null, 1]]);
const batch = await owner.multi().set('prices/io-a', 'x').del('prices/io-b').exec();
assert.deepEqual(batch, [[null, 'OK'], [null, 1]]);
await eventually(async () => assert.equal(await web.get('prices/io-b'), null));
assert.deepEqual(await web.getBuffer('prices/io-a'), Buffer.from('x'));
const keys = [];
for await (const page of web.scanStream({ match: 'prices/io-*', count: 1 })) keys.push(...page);
assert.deepEqual(keys.sort(), ['prices/io-a', 'prices/io-c']);
assert.equal(await owner.set('prices/io-e', '1', 'EX', 5000, 'NX'), 'OK');
assert.equal(await owner.set('prices/io-e', '2', 'NX'), null);
assert.equal(await owner.set('prices/io-e', '2', 'KEEPTTL', 'XX', 'GET'), '1');
await eventually(async () => assert.equal(await web.get('prices/io-e'), '2'));
assert.ok(await web.ttl('prices/io-e') > 4000);
await owner.watch('prices/io-e', 'prices/io-none');
const other = owner.duplicate();
await other.set('prices/io-e', '3');
assert.equal(await owner.multi().set('prices/io-e', '4').exec(), null);
await owner.watch('prices/io-e');
assert.deepEqual(await owner.multi().set('prices/io-e', '4').getdel('prices/io-e').exec(),
                 [[null, 'OK'], [null, '4']]);
await other.quit();
await assert.rejects(web.set('prices/io-a', '1'), /READONLY/);
await assert.rejects(web.get('other/a'), /NOTSUBSCRIBED/);
assert.match(await web.info(), /tributary/i);

const heard = new Promise((resolve) => {
  const listener = web.duplicate();
  listener.on('pmessage', (pattern, channel, message) => {
    listener.disconnect();
    resolve([channel, message]);
  });
  listener.psubscribe('__keyspace@0__:prices/*').then(() => owner.set('prices/io-d', '1'));
});
assert.deepEqual(await heard, ['__keyspace@0__:prices/io-d', 'set']);
await Promise.all([owner.quit(), web.quit()]);
assert.deepEqual(errors, []);
