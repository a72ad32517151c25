// Writes points as columns over one stream, across restarts of the server.
//
//   npm install @grpc/grpc-js @grpc/proto-loader
//   node client/examples/node/example.js 127.0.0.1:8182 demo writer-1
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const batches = 100;
const points = 100;

const proto = process.env.SLUICE_PROTO || path.join(__dirname, '../../../proto');
const { sluice } = grpc.loadPackageDefinition(loader.loadSync('sluice/v1/write.proto',
  { includeDirs: [proto], longs: String, enums: String, oneofs: true, defaults: true }));

// So that a restart of the server is over for this client as soon as it is for the server.
const channelOptions = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.keepalive_time_ms': 30000,
  'grpc.keepalive_timeout_ms': 10000,
};
// Others would be the same the next time.
const { UNAVAILABLE, INTERNAL, UNKNOWN, CANCELLED, DEADLINE_EXCEEDED } = grpc.status;
const retried = new Set([UNAVAILABLE, INTERNAL, UNKNOWN, CANCELLED, DEADLINE_EXCEEDED]);

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Over TLS where the environment has the certificates.
function credentials() {
  const read = (variable) => (process.env[variable] ? fs.readFileSync(process.env[variable]) : null);
  const [roots, key, chain] = ['SLUICE_CA_FILE', 'SLUICE_KEY_FILE', 'SLUICE_CERT_FILE'].map(read);
  return roots || chain ? grpc.credentials.createSsl(roots, key, chain)
    : grpc.credentials.createInsecure();
}

// The points of a batch; the same each time that it is sent. 64-bit numbers are strings.
function batch(number) {
  const numbers = Array.from({ length: points }, (_, i) => number * points + i);
  const table = {
    table: Buffer.from('node'),
    rowCount: points,
    timestamps: numbers.map((n) => String(1_700_000_000_000_000_000n + BigInt(n) * 1_000_000n)),
    tagSetCount: 1,
    tags: [{ key: Buffer.from('host'), dictionary: [Buffer.from('example')], values: [1] }],
    fields: [{ key: Buffer.from('n'), integers: { values: numbers } }],
  };
  return { batch: { sequence: number, columns: { tables: [table] } } };
}

// One stream, from batch `progress.done` on, as long as it lasts.
function writeOnce(client, database, writer, token, progress) {
  const metadata = new grpc.Metadata({ waitForReady: true });
  if (token) metadata.set('authorization', `Bearer ${token}`);
  const call = client.writeStream(metadata);
  call.write({ open: { database, writerId: writer, firstSequence: progress.done } });
  let sent = progress.done;
  let draining = false;
  let sending = false;
  async function send() {
    if (sending) return;
    sending = true;
    // A few under way at once.
    while (!draining && sent < batches && sent < progress.done + 8) {
      call.write(batch(sent++));
      await sleep(20); // Only so that there is time for a restart.
    }
    sending = false;
    if (progress.done === sent && (draining || sent === batches)) call.end();
  }
  return new Promise((resolve, reject) => {
    call.on('data', (response) => {
      if (response.drain) draining = true;
      for (const ack of response.acks ? response.acks.acks : []) {
        if (ack.error) reject(new Error(`batch ${ack.sequence}: ${ack.error.message}`));
        if (ack.alreadyWritten) {
          console.log(`batch ${ack.sequence} had been written before under this writer's name`);
        }
        for (const error of ack.written ? ack.written.errors : []) {
          console.log(`point ${error.index} of batch ${ack.sequence}: ${error.message}`);
        }
        progress.done = Number(ack.sequence) + 1;
        progress.wait = 100;
      }
      send();
    });
    call.on('error', reject);
    call.on('end', resolve);
  });
}

async function main(address, database, writer) {
  const client = new sluice.v1.WriteService(address, credentials(), channelOptions);
  const progress = { done: 0, wait: 100 };
  while (progress.done < batches) {
    try {
      await writeOnce(client, database, writer, process.env.SLUICE_TOKEN, progress);
    } catch (error) {
      if (!retried.has(error.code)) throw error;
      await sleep(Math.random() * progress.wait);
      progress.wait = Math.min(2 * progress.wait, 5000);
    }
  }
  console.log(`${progress.done} batches are written`);
  client.close();
}

if (process.argv.length !== 5) {
  console.error('usage: example.js HOST:PORT DATABASE WRITER');
  process.exit(64);
}
main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
