// Icinga 2's InfluxdbWriter, in a daemon of its own. It speaks HTTP/1.0, tells of an error only
// where that is JSON, and never tries again.
'use strict';

const assert = require('node:assert');
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');

const { Server, sleep } = require('./server');

// A host that is checked every second, with two numbers of performance data.
const configuration = (server, { database, password }) => `
include <itl>
const NodeName = "test"
const ZoneName = NodeName
object FileLogger "log" { severity = "debug", path = "${server.directory}/icinga.log" }
object CheckerComponent "checker" { }
object Endpoint NodeName { }
object Zone ZoneName { endpoints = [ NodeName ] }
object Host "box" {
  check_command = "dummy"
  check_interval = 1s
  vars.dummy_text = "fine|load=0.5;1;2 users=3"
}
object InfluxdbWriter "writer" {
  host = "127.0.0.1"
  port = ${server.httpPort}
  database = "${database}"
  basic_auth = { username = "any", password = "${password}" }
  flush_interval = 1s
}
`;

class Icinga {
  constructor(server, settings) {
    this.directory = fs.mkdtempSync(path.join(server.directory, 'icinga-'));
    this.log = path.join(server.directory, 'icinga.log');
    fs.rmSync(this.log, { force: true });
    const file = path.join(this.directory, 'icinga2.conf');
    fs.writeFileSync(file, configuration(server, settings));
    const user = os.userInfo().username;
    const group = execFileSync('id', ['-gn'], { encoding: 'utf8' }).trim();
    const constants = [`DataDir=${this.directory}`, `LogDir=${this.directory}`,
      `CacheDir=${this.directory}`, `SpoolDir=${this.directory}`, `InitRunDir=${this.directory}`,
      `Configuration.RunAsUser=${user}`, `Configuration.RunAsGroup=${group}`];
    this.process = spawn('icinga2', ['daemon', '-c', file, '-x', 'critical',
      ...constants.map((constant) => `-D${constant}`)], { stdio: 'ignore', detached: true });
    this.ended = new Promise((resolve) => this.process.on('exit', resolve));
  }

  // Waits for a line of the log.
  async logs(pattern) {
    for (let i = 0; i < 150; ++i) {
      const text = fs.existsSync(this.log) ? fs.readFileSync(this.log, 'utf8') : '';
      if (pattern.test(text)) return text;
      await sleep(100);
    }
    throw new Error(`${pattern} is not in the log:\n${fs.readFileSync(this.log, 'utf8').slice(-2000)}`);
  }

  async stop() {
    process.kill(-this.process.pid, 'SIGKILL');
    await this.ended;
  }
}

let server;
let token;
let icinga;

before(async () => {
  server = await Server.start();
  await server.createDatabase('icinga2');
  token = await server.createToken('icinga', 'icinga2', ['write']);
});
after(() => server.stop());

async function withIcinga(settings, act) {
  icinga = new Icinga(server, settings);
  try {
    await act();
  } finally {
    await icinga.stop();
  }
}

async function rows() {
  return server.query('icinga2', 'SELECT hostname, metric, value FROM dummy GROUP BY metric');
}

test('its metrics are in', () => withIcinga({ database: 'icinga2', password: token }, async () => {
  for (let i = 0; i < 150 && (await rows()).length < 2; ++i) await sleep(100);
  assert.deepStrictEqual(await rows(), [
    { hostname: 'box', metric: 'load', value: 0.5 },
    { hostname: 'box', metric: 'users', value: 3 },
  ]);
  const log = fs.readFileSync(icinga.log, 'utf8');
  assert.doesNotMatch(log, /Unexpected response|error message/);
}));

test('it tells that there is no such database', () =>
  withIcinga({ database: 'none', password: token }, () =>
    icinga.logs(/InfluxDB error message:\s+database not found: "none"/)));

test('it tells that its token is not valid', () =>
  withIcinga({ database: 'icinga2', password: 'wrong' }, () =>
    icinga.logs(/Unexpected response code: Unauthorized/)));

test('it tells which lines were rejected, and why', async () => {
  await server.createDatabase('typed');
  const typed = await server.createToken('typed', 'typed', ['write']);
  const answer = await fetch(`${server.url}/write?db=typed`, {
    method: 'POST',
    headers: { Authorization: `Token ${typed}` },
    body: 'dummy value="a text" 1',
  });
  assert.strictEqual(answer.status, 204);
  await withIcinga({ database: 'typed', password: typed }, () => icinga.logs(
    /error writing line 1 \(1-based\): .*column 'value' of table 'dummy' is string/));
});

test('it tells of an outage, and goes on after it', () =>
  withIcinga({ database: 'icinga2', password: token }, async () => {
    await icinga.logs(/Sending data|Flushing/i);
    await server.restart();
    const before = (await server.query('icinga2', 'SELECT count(*) AS n FROM dummy'))[0].n;
    for (let i = 0; i < 100; ++i) {
      const [{ n }] = await server.query('icinga2', 'SELECT count(*) AS n FROM dummy');
      if (n > before) return;
      await sleep(100);
    }
    assert.fail('nothing comes after the outage');
  }));
