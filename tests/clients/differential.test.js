// Where InfluxDB 1.6.7 accepts a plain write, so do we: writes as clients make them, whose points
// are counted on both sides, and all bodies of the line protocol's conformance file. The exceptions
// are in differential.json, each with its reason.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const zlib = require('node:zlib');

const { Influxd } = require('./influxd');
const { Server, adminToken, root } = require('./server');
const { writes, exceptions } = require('./differential.json');

let influxd;
let server;

before(async () => {
  influxd = await Influxd.start();
  server = await Server.start();
});
after(async () => {
  await influxd.stop();
  await server.stop();
});

function post(url, body, headers = {}) {
  return fetch(url, { method: 'POST', body, headers });
}

async function countInInfluxd(db) {
  const q = 'SELECT count(f) FROM m';
  const answer = await fetch(`${influxd.url}/query?` + new URLSearchParams({ db, q }));
  return (await answer.json()).results[0].series[0].values[0][1];
}

writes.forEach(({ query, body, points, gzip }, i) => {
  test(`${query || 'plain'} ${JSON.stringify(body)}${gzip ? ' gzip' : ''}`, async () => {
    const db = `w${i}`;
    await influxd.createDatabase(db);
    await server.createDatabase(db);
    const sent = gzip ? zlib.gzipSync(body) : body;
    const encoding = gzip ? { 'Content-Encoding': 'gzip' } : {};
    const theirs = await post(`${influxd.url}/write?db=${db}${query}`, sent, encoding);
    assert.strictEqual(theirs.status, 204, await theirs.text());
    const ours = await post(`${server.url}/write?db=${db}${query}`, sent,
      { Authorization: `Token ${adminToken}`, ...encoding });
    assert.strictEqual(ours.status, 204, await ours.text());
    assert.strictEqual(await countInInfluxd(db), points);
    assert.deepStrictEqual(await server.query(db, 'SELECT count(*) AS n FROM m'), [{ n: points }]);
  });
});

function readBodies() {
  const file = path.join(root, 'tests/server/lineprotocol/testdata/line_protocol.jsonl');
  return fs.readFileSync(file, 'utf8').trim().split('\n').map((text) => {
    const { body, body_base64: base64 } = JSON.parse(text);
    return base64 === undefined ? Buffer.from(body) : Buffer.from(base64, 'base64');
  });
}

// Whether InfluxDB takes a body. Some make it answer with headers that are no HTTP, which it does
// only for errors, and three end it.
async function influxdTakes(db, body) {
  const answer = await post(`${influxd.url}/write?db=${db}`, body).catch(() => null);
  if (answer) {
    await answer.text();
    return answer.status === 204;
  }
  if (!await fetch(`${influxd.url}/ping`).catch(() => null)) {
    await influxd.stop();
    influxd = await Influxd.start();
    await influxd.createDatabase(db);
  }
  return false;
}

// Why we refuse a body; nothing where we take it. A dry run in an empty database judges each on its
// own.
async function refusal(body) {
  const answer = await post(
    `${server.url}/api/v3/write_lp?db=empty&precision=ns&dry_run=true`, body,
    { Authorization: `Token ${adminToken}` });
  if (answer.status === 204) return null;
  const { message, data } = await answer.json();
  return data ? data[0].error_message : message;
}

test('the bodies of the conformance file that InfluxDB takes, but for the exceptions', async () => {
  await server.createDatabase('empty');
  const met = new Set();
  const unexpected = [];
  let taken = 0;
  let i = 0;
  for (const body of readBodies()) {
    const db = `c${Math.floor(i / 1000)}`;
    if (i++ % 1000 === 0) await influxd.createDatabase(db);
    if (!await influxdTakes(db, body)) continue;
    ++taken;
    const message = await refusal(body);
    if (message === null) continue;
    const exception = exceptions.find((known) => new RegExp(known.message, 's').test(message));
    if (exception) met.add(exception);
    else unexpected.push([message, body.toString()]);
  }
  assert.deepStrictEqual(unexpected, []);
  assert.ok(taken > 1000, `${taken}`);
  assert.deepStrictEqual(exceptions.filter((known) => !met.has(known)), []);
});
