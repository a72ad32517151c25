// The real server, in a process of its own, as the clients' tests start, stop and ask it.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

const root = path.join(__dirname, '..', '..');
const binary = path.join(root, 'bazel-bin/server/sluiced');

// The same in every run, so that recorded requests can hold it.
const adminToken = 'sluice_' + 'A'.repeat(86);

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Server {
  static async start({ flags = [] } = {}) {
    const server = new Server();
    server.flags = flags;
    server.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-clients-'));
    server.httpPort = await freePort();
    server.grpcPort = await freePort();
    server.url = `http://127.0.0.1:${server.httpPort}`;
    server.grpcAddress = `127.0.0.1:${server.grpcPort}`;
    await server.#spawn();
    return server;
  }

  async #spawn() {
    const log = fs.openSync(path.join(this.directory, 'log'), 'a');
    const flags = ['--data-dir', path.join(this.directory, 'data'), '--http-listen',
      `127.0.0.1:${this.httpPort}`, '--grpc-listen', this.grpcAddress, ...this.flags];
    this.process = spawn(binary, flags, {
      env: { ...process.env, SLUICE_ADMIN_TOKEN: adminToken },
      stdio: ['ignore', log, log],
    });
    fs.closeSync(log);
    this.ended = new Promise((resolve) => this.process.on('exit', resolve));
    for (let i = 0; i < 300; ++i) {
      const ready = await fetch(`${this.url}/ready`).catch(() => null);
      if (ready && ready.status === 200) return;
      await sleep(50);
    }
    throw new Error('the server does not start: ' + this.log());
  }

  log() {
    return fs.readFileSync(path.join(this.directory, 'log'), 'utf8');
  }

  // An outage as a rolling update makes it: for a second writes are answered with 503, then nobody
  // answers, then the server is back on the same ports with the same data.
  async restart(whileAway = () => sleep(300)) {
    this.process.kill('SIGTERM');
    await this.ended;
    await whileAway();
    await this.#spawn();
  }

  async stop() {
    this.process.kill('SIGTERM');
    await this.ended;
    fs.rmSync(this.directory, { recursive: true });
  }

  async #configure(method, route, body) {
    const answer = await fetch(`${this.url}/api/v3/${route}`, {
      method,
      headers: { Authorization: `Bearer ${adminToken}` },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${route}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  createDatabase(db) {
    return this.#configure('POST', 'configure/database', { db });
  }

  async createToken(name, database, actions) {
    const body = {
      token_name: name,
      permissions: [{ resource_type: 'db', resource_names: [database], actions }],
    };
    return (await this.#configure('POST', 'enterprise/configure/token', body)).token;
  }

  // The rows of a query, or [] where a table is not there yet.
  async query(db, q) {
    const answer = await fetch(`${this.url}/api/v3/query_sql?` + new URLSearchParams({ db, q }), {
      headers: { Authorization: `Bearer ${adminToken}` },
    });
    return answer.status === 200 ? answer.json() : [];
  }
}

module.exports = { Server, adminToken, freePort, root, sleep };
