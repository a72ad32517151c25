// Clients that ask and do not read: over HTTP/2 with windows of nothing.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const http2 = require('node:http2');
const { after, before, test } = require('node:test');
const { Server, adminToken, sleep } = require('./server.js');

let server;
before(async () => {
  server = await Server.start({ flags: ['--max-memory-bytes', String(256 << 20)] });
  await server.createDatabase('demo');
});
after(() => server.stop());

function varint(n) {
  const bytes = [];
  for (; n > 127; n >>= 7) bytes.push((n & 127) | 128);
  return Buffer.from([...bytes, n]);
}
const field = (number, bytes) => Buffer.concat([Buffer.from([(number << 3) | 2]),
  varint(bytes.length), bytes]);
function framed(message) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

test('answers that nobody reads are bounded, and others are served', async () => {
  // What is wrong with each line is told, which takes more than the lines do.
  const lines = Buffer.from('bad line without fields\n'.repeat(8_000));
  const request = framed(Buffer.concat([field(1, Buffer.from('demo')), field(2, lines)]));
  const sessions = [];
  let asked = 0;
  for (let i = 0; i < 12; ++i) {
    const session = http2.connect(`http://${server.grpcAddress}`,
      { settings: { initialWindowSize: 0 } });
    session.on('error', () => {});
    sessions.push(session);
    for (let j = 0; j < 90; ++j) {
      const stream = session.request({ ':method': 'POST',
        ':path': '/sluice.v1.WriteService/Validate', 'content-type': 'application/grpc',
        te: 'trailers', authorization: `Bearer ${adminToken}` });
      stream.on('error', () => {});
      stream.end(request);
      ++asked;
      // The request itself finds its memory.
      await sleep(8);
    }
  }
  await sleep(3000);
  const status = fs.readFileSync(`/proc/${server.process.pid}/status`, 'utf8');
  const peak = Number(/VmHWM:\s+(\d+)/.exec(status)[1]) / 1024;
  console.log(`# ${asked} calls, ${peak.toFixed(0)} MiB at the most`);
  assert.ok(peak < 450, `${peak} MiB`);
  // Another client writes meanwhile.
  const write = () => fetch(`${server.url}/api/v2/write?bucket=demo`, { method: 'POST',
    headers: { Authorization: `Bearer ${adminToken}` }, body: 'm f=1' });
  assert.strictEqual((await write()).status, 204);
  for (const session of sessions) session.destroy();
  const metrics = async () => (await fetch(`${server.url}/metrics`)).text();
  assert.match(await metrics(), /refused_total\{door="grpc",reason="MEMORY_BUDGET"\} [1-9]/);
  // And what was held is given back.
  for (let i = 0; i < 100 && !/sluice_requests_under_way [01]\n/.test(await metrics()); ++i) {
    await sleep(100);
  }
  assert.match(await metrics(), /sluice_requests_under_way 1\n/);
});
