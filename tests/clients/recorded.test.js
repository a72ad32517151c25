// Requests of Telegraf and Vector, byte by byte as recorded/ holds them; README.md says where they
// come from. Both keep their connection, so each request is sent twice on one.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { after, before, test } = require('node:test');

const { Server, sleep } = require('./server');

// What each is answered with: the status, and a text in the answer.
const answers = {
  telegraf_v1_identity: [204],
  telegraf_v1_gzip: [204],
  telegraf_v2_gzip: [204],
  telegraf_v3_gzip: [204],
  vector_v1_metrics: [204],
  vector_v2_logs: [204],
  vector_healthcheck: [204],
  // Telegraf takes this for done and logs it.
  telegraf_v1_partial: [400, '"error":"partial write has occurred'],
  telegraf_v2_unknown_bucket: [404, '"message":"database \\"none\\" not found"'],
  telegraf_v3_bad_token: [401, '"code":"unauthorized"'],
  vector_v2_bad_token: [401, '"code":"unauthorized"'],
};

let server;

before(async () => {
  server = await Server.start();
  await server.createDatabase('demo');
});
after(() => server.stop());

const read = (name) => fs.readFileSync(path.join(__dirname, 'recorded', `${name}.http`));

// Sends bytes and reads one answer after the other, `count` of them.
async function exchange(bytes, count) {
  const socket = net.connect(server.httpPort, '127.0.0.1');
  socket.on('error', () => {});
  let received = '';
  socket.on('data', (data) => { received += data; });
  const heads = () => received.match(/HTTP\/1\.[01] \d{3}/g) || [];
  for (let i = 0; i < count; ++i) {
    socket.write(bytes);
    for (let waited = 0; heads().length <= i && waited < 5000; waited += 10) await sleep(10);
  }
  await sleep(20);
  socket.destroy();
  return { statuses: heads().map((head) => Number(head.slice(-3))), text: received };
}

for (const [name, [status, text]] of Object.entries(answers)) {
  test(name, async () => {
    // What is refused by its head alone ends its connection.
    const count = [401, 404].includes(status) ? 1 : 2;
    const answer = await exchange(read(name), count);
    assert.deepStrictEqual(answer.statuses, Array(count).fill(status), answer.text);
    if (text) assert.ok(answer.text.includes(text), answer.text);
  });
}

test('every recorded request has its answer above, and what they wrote is in', async () => {
  const names = fs.readdirSync(path.join(__dirname, 'recorded')).map((file) => path.parse(file).name);
  assert.deepStrictEqual(names.sort(), Object.keys(answers).sort());
  assert.deepStrictEqual(await server.query('demo', 'SELECT usage FROM cpu'), [{ usage: 0.5 }]);
  assert.deepStrictEqual(await server.query('demo', 'SELECT message FROM "vector-logs"'),
    [{ message: 'hello' }]);
  assert.deepStrictEqual(await server.query('demo', 'SELECT free FROM disk'), [{ free: 1 }]);
});

test('an outage is told to them, and the same request is taken after it', async () => {
  const outage = server.restart();
  await sleep(150);
  for (const name of ['telegraf_v1_identity', 'telegraf_v2_gzip', 'vector_v2_logs']) {
    const { statuses, text } = await exchange(read(name), 1);
    assert.deepStrictEqual(statuses, [503], name);
    assert.match(text, /Retry-After: 1\r\n/);
    assert.match(text, /X-Influx-Error: the server is shutting down\r\n/);
  }
  await outage;
  assert.deepStrictEqual((await exchange(read('telegraf_v2_gzip'), 1)).statuses, [204]);
});
