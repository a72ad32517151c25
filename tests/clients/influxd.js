// Debian's InfluxDB 1.6.7, in a process of its own, as the peer whose plain writes we take too.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { freePort, sleep } = require('./server');

const configuration = (directory, port, rpcPort) => `
reporting-enabled = false
bind-address = "127.0.0.1:${rpcPort}"
[meta]
  dir = "${directory}/meta"
[data]
  dir = "${directory}/data"
  wal-dir = "${directory}/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:${port}"
  log-enabled = false
`;

class Influxd {
  static async start() {
    const influxd = new Influxd();
    influxd.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'influxd-'));
    const port = await freePort();
    influxd.url = `http://127.0.0.1:${port}`;
    const file = path.join(influxd.directory, 'influxdb.conf');
    fs.writeFileSync(file, configuration(influxd.directory, port, await freePort()));
    influxd.process = spawn('influxd', ['-config', file], { stdio: 'ignore' });
    influxd.ended = new Promise((resolve) => influxd.process.on('exit', resolve));
    for (let i = 0; i < 300; ++i) {
      if (await fetch(`${influxd.url}/ping`).catch(() => null)) return influxd;
      await sleep(50);
    }
    throw new Error('influxd does not start');
  }

  async createDatabase(name) {
    const q = `CREATE DATABASE "${name}"`;
    await (await fetch(`${this.url}/query?` + new URLSearchParams({ q }), { method: 'POST' })).text();
  }

  async stop() {
    this.process.kill('SIGKILL');
    await this.ended;
    fs.rmSync(this.directory, { recursive: true });
  }
}

module.exports = { Influxd };
