// The clients, each behind one function: write(server, {database, token, points}) resolves where
// the client reports success and rejects with what the client reports otherwise. `retries` says
// whether it tries again by itself after a 503, as it is set up here.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const v2 = require('@influxdata/influxdb-client');
const v3 = require('@influxdata/influxdb3-client');
const influx = require('influx');

const { line, lines } = require('./lines');
const { root } = require('./server');

v2.setLogger({ error() {}, warn() {} });

// Runs a program; rejects with all that it printed where its exit code is not 0.
function run(command, args, { input = '', env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...env } });
    let output = '';
    child.stdout.on('data', (data) => { output += data; });
    child.stderr.on('data', (data) => { output += data; });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve(output) : reject(new Error(output))));
    child.stdin.end(input);
  });
}

const javascriptV2 = {
  name: '@influxdata/influxdb-client',
  retries: true,
  async write(server, { database, token, points }) {
    // It tries again in the background: flush() and close() tell of the first attempt only.
    let api;
    await new Promise((resolve, reject) => {
      api = new v2.InfluxDB({ url: server.url, token }).getWriteApi('any', database, 'ns', {
        maxRetries: 20, minRetryDelay: 100, maxRetryDelay: 400,
        writeSuccess: resolve,
        writeFailed: (error) => { if (error.statusCode < 429) reject(error); },
      });
      api.writeRecords(points.map(line));
      api.flush().catch(() => {});
    });
    await api.close();
  },
};

async function writeV3(server, { database, token, points }, writeOptions) {
  const client = new v3.InfluxDBClient({ host: server.url, token, database });
  try {
    await client.write(lines(points), database, undefined, writeOptions);
  } finally {
    await client.close();
  }
}

const javascriptV3 = {
  name: '@influxdata/influxdb3-client by /api/v2/write',
  retries: false,
  write: (server, request) => writeV3(server, request),
};

const javascriptV3WriteLp = {
  name: '@influxdata/influxdb3-client by /api/v3/write_lp',
  retries: false,
  write: (server, request) => writeV3(server, request, { noSync: true }),
};

const nodeInflux = {
  name: 'influx (npm)',
  retries: false,
  async write(server, { database, token, points }) {
    const client = new influx.InfluxDB({
      host: '127.0.0.1', port: server.httpPort, username: 'any', password: token, database,
      // It gives a host that answered with 503 a rest, and itself no second one.
      pool: { maxRetries: 0 },
    });
    await client.writePoints(points.map(({ table, tags, fields, time }) => ({
      measurement: table, tags, fields, timestamp: influx.toNanoDate(String(time)),
    })));
  },
};

const grpcJs = {
  name: '@grpc/grpc-js',
  retries: true,
  async write(server, { database, token, points }) {
    const definition = protoLoader.loadSync('sluice/v1/write.proto', {
      includeDirs: [path.join(root, 'proto')], keepCase: true, enums: String, longs: Number,
    });
    const { WriteService } = grpc.loadPackageDefinition(definition).sluice.v1;
    const client = new WriteService(server.grpcAddress, grpc.credentials.createInsecure(), {
      'grpc.service_config': JSON.stringify({
        methodConfig: [{
          name: [{ service: 'sluice.v1.WriteService' }],
          retryPolicy: {
            maxAttempts: 5, initialBackoff: '0.5s', maxBackoff: '2s', backoffMultiplier: 2,
            retryableStatusCodes: ['UNAVAILABLE'],
          },
        }],
      }),
      'grpc.max_reconnect_backoff_ms': 200,
      'grpc.initial_reconnect_backoff_ms': 100,
    });
    const metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    const request = {
      database, line_protocol: Buffer.from(lines(points)), partial_as_error: true,
    };
    try {
      await new Promise((resolve, reject) => {
        client.Write(request, metadata, { deadline: Date.now() + 15000 },
          (error, response) => (error ? reject(error) : resolve(response)));
      });
    } finally {
      client.close();
    }
  },
};

const buf = path.join(root, 'tests/tools/node_modules/.bin/buf');

// `buf curl` of a method, by the server's own reflection.
function bufCurl(server, token, method, request) {
  return run(buf, ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', '-H',
    `authorization: Bearer ${token}`, '-d', JSON.stringify(request),
    `http://${server.grpcAddress}/sluice.v1.${method}`]);
}

const bufWriter = {
  name: '@bufbuild/buf',
  retries: false,
  write: (server, { database, token, points }) => bufCurl(server, token, 'WriteService/Write', {
    database, line_protocol: Buffer.from(lines(points)).toString('base64'), partial_as_error: true,
  }),
};

const influxShell = {
  name: 'influx -import (Debian)',
  retries: false,
  async write(server, { database, token, points }) {
    const file = path.join(server.directory, `import-${process.hrtime.bigint()}`);
    fs.writeFileSync(file, `# DML\n# CONTEXT-DATABASE: ${database}\n${lines(points)}\n`);
    const output = await run('influx', ['-host', '127.0.0.1', '-port', String(server.httpPort),
      '-username', 'any', '-password', token, '-import', '-path', file]);
    // It exits with 0 whatever happened.
    if (/error/i.test(output.replace(/Failed 0 inserts/, '')) || !/Failed 0 inserts/.test(output)) {
      throw new Error(output);
    }
  },
};

// The clients in Python are written to by a script each, which reads the request as JSON.
function python(name, script, options, retries) {
  return {
    name,
    retries,
    write: (server, { database, token, points }) => run('/usr/bin/python3',
      [path.join(__dirname, script)], {
        input: JSON.stringify({
          port: server.httpPort, grpc: server.grpcAddress, database, token, points,
          lines: lines(points), ...options,
        }),
        env: { PYTHONPATH: path.join(root, 'bazel-bin/tests/clients/python') },
      }),
  };
}

const writers = [
  javascriptV2, javascriptV3, javascriptV3WriteLp, nodeInflux, grpcJs, bufWriter, influxShell,
  python('python3-influxdb', 'influxdb_writer.py', { gzip: false }, false),
  python('python3-influxdb with gzip', 'influxdb_writer.py', { gzip: true }, false),
  python('python3-grpcio', 'grpcio_writer.py', {}, true),
];

module.exports = { writers, bufCurl, buf, run };
