// The examples of client/examples, each over a restart of the server.
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const path = require('node:path');
const { after, before, test } = require('node:test');

const { Server, adminToken, root, sleep } = require('./server');

let server;

before(async () => {
  server = await Server.start();
  await server.createDatabase('demo');
});
after(() => server.stop());

const examples = path.join(root, 'client/examples');
const commands = {
  cpp: [path.join(root, 'bazel-bin/client/examples/cpp/example')],
  go: [path.join(root, 'bazel-bin/tests/clients/go/example')],
  node: [process.execPath, path.join(examples, 'node/example.js')],
  python: ['/usr/bin/python3', path.join(examples, 'python/example.py')],
};

function run([program, ...args], writer) {
  const child = spawn(program, [...args, server.grpcAddress, 'demo', writer], {
    env: {
      ...process.env,
      SLUICE_TOKEN: adminToken,
      NODE_PATH: path.join(__dirname, 'node_modules'),
      PYTHONPATH: path.join(root, 'bazel-bin/tests/clients/python'),
    },
  });
  let output = '';
  child.stdout.on('data', (bytes) => { output += bytes; });
  child.stderr.on('data', (bytes) => { output += bytes; });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  return { ended, output: () => output };
}

for (const [table, command] of Object.entries(commands)) {
  test(`${table}: every point is written, across a restart`, { timeout: 60_000 }, async () => {
    const example = run(command, table);
    // It has begun, and is not done.
    let rows = [];
    while (rows.length === 0 || rows[0].n === 0) {
      rows = await server.query('demo', `SELECT count(*) AS n FROM ${table}`);
      await sleep(10);
    }
    await server.restart();
    assert.strictEqual(await example.ended, 0, example.output());
    assert.match(example.output(), /are written/);
    const [sums] = await server.query('demo',
      `SELECT count(*) AS n, count(DISTINCT n) AS d, sum(n) AS s FROM ${table}`);
    assert.deepStrictEqual(sums, { n: 10_000, d: 10_000, s: 49_995_000 });
    assert.ok(rows[0].n < 10_000, 'it was done before the restart');
  });
}
