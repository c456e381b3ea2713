// creates.mjs make ROUND: 20 workers create services, functions and triggers until
// the cloud is gone, and print what was acknowledged, one JSON object a line.
// creates.mjs check FILE: everything in the file is there as it was acknowledged.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeSync } from 'node:fs';
import { client, zipText } from './help.mjs';

const workers = 20;
const fc = client({ timeout: 10000 });
const code = Buffer.from(zipText('exports.handler = (e, c, done) => done(null, "kept");'), 'base64');
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
const tell = (ack) => writeSync(1, JSON.stringify(ack) + '\n');

// packed returns a package that no other call gets: a zip may end in a comment.
function packed(text) {
  const comment = Buffer.from(text);
  const zip = Buffer.concat([code, comment]);
  zip.writeUInt16LE(comment.length, code.length - 2);
  return zip;
}

async function worker(round, id) {
  for (let n = 0; ; n++) {
    const service = `kill-${round}-${id}-${n}`;
    const made = await fc.createService(service, { description: service });
    tell({ service, id: made.data.serviceId });
    const zip = packed(service);
    await fc.createFunction(service, {
      functionName: 'f', runtime: 'nodejs16', handler: 'index.handler', code: { zipFile: zip.toString('base64') },
    });
    tell({ service, code: digest(zip) });
    await fc.createTrigger(service, 'f', { triggerName: 't', triggerType: 'timer', triggerConfig: { cronExpression: '@every 1h', enable: true } });
    tell({ service, trigger: 't' });
  }
}

async function make(round) {
  const ends = await Promise.allSettled(Array.from({ length: workers }, (_, id) => worker(round, id)));
  for (const { reason } of ends) {
    if (!['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(reason.code) && !/socket hang up/.test(reason.message)) throw reason;
  }
}

async function checkOne(ack) {
  if (ack.id) assert.equal((await fc.getService(ack.service)).data.serviceId, ack.id);
  if (ack.code) {
    const { data } = await fc.getFunctionCode(ack.service, 'f');
    assert.equal(digest(Buffer.from(await (await fetch(data.url)).arrayBuffer())), ack.code);
  }
  if (ack.trigger) assert.equal((await fc.getTrigger(ack.service, 'f', ack.trigger)).data.triggerConfig.cronExpression, '@every 1h');
}

async function check(file) {
  // A line that the end of this process cut off was not read by anybody.
  const acks = readFileSync(file, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line));
  assert.ok(acks.length > 0, 'nothing was acknowledged before the kill');
  const queue = [...acks];
  await Promise.all(Array.from({ length: workers }, async () => {
    for (let ack = queue.pop(); ack; ack = queue.pop()) await checkOne(ack);
  }));
  const last = acks.findLast((ack) => ack.code);
  if (last) assert.equal((await fc.invokeFunction(last.service, 'f', '')).data, 'kept');
  console.log(acks.length);
}

const [mode, argument] = process.argv.slice(2);
await { make, check }[mode](argument);
process.exit(); // the client's sockets would keep it for a while
