// `buf curl`, which does what grpcurl does: everything by the server's own reflection.
'use strict';

const assert = require('node:assert');
const { after, before, test } = require('node:test');

const { Server, adminToken } = require('./server');
const { buf, bufCurl, run } = require('./writers');

let server;

before(async () => { server = await Server.start(); });
after(() => server.stop());

const ask = (...args) => run(buf, ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', ...args]);

test('it lists services and methods', async () => {
  const services = await ask('--list-services', `http://${server.grpcAddress}`);
  for (const name of ['sluice.v1.WriteService', 'sluice.v1.QueryService',
    'sluice.v1.AdminService', 'grpc.health.v1.Health']) {
    assert.ok(services.split('\n').includes(name), name);
  }
  const methods = await ask('--list-methods', `http://${server.grpcAddress}`);
  assert.match(methods, /sluice\.v1\.WriteService\/Validate/);
});

test('it asks the health service, without a token', async () => {
  const health = await ask('-d', '{}', `http://${server.grpcAddress}/grpc.health.v1.Health/Check`);
  assert.deepStrictEqual(JSON.parse(health), { status: 'SERVING' });
});

test('it calls, and sees what is in', async () => {
  const created = JSON.parse(await bufCurl(server, adminToken, 'AdminService/CreateDatabase',
    { name: 'demo', retention_period: '3600s' }));
  assert.strictEqual(created.database.retentionPeriod, '3600s');
  const line_protocol = Buffer.from('m f=1i').toString('base64');
  await bufCurl(server, adminToken, 'WriteService/Write', { database: 'demo', line_protocol });
  const rows = await bufCurl(server, adminToken, 'QueryService/Query',
    { database: 'demo', sql: 'SELECT f FROM m' });
  assert.match(rows, /"integerValue":\s*"1"/);
});

// The error that buf prints: JSON, with the details decoded.
async function failure(token, method, request) {
  try {
    await bufCurl(server, token, method, request);
  } catch (error) {
    return JSON.parse(error.message);
  }
  return assert.fail('the call succeeded');
}

// The strings in a detail, which buf prints as base64 of the message.
const detail = (error, type) => Buffer.from(
  error.details.find((found) => found.type === `google.rpc.${type}`).value, 'base64').toString();

test('it gets the details of errors', async () => {
  const line_protocol = Buffer.from('bad').toString('base64');
  const rejected = await failure(adminToken, 'WriteService/Write', { database: 'demo', line_protocol });
  assert.strictEqual(rejected.code, 'invalid_argument');
  assert.match(detail(rejected, 'ErrorInfo'), /LINES_REJECTED/);
  assert.match(detail(rejected, 'BadRequest'), /line_protocol:1/);

  const missing = await failure(adminToken, 'WriteService/Write', { database: 'none', line_protocol });
  assert.strictEqual(missing.code, 'not_found');
  assert.match(detail(missing, 'ResourceInfo'), /none/);

  const unknown = await failure('sluice_nonsense', 'WriteService/Write', { database: 'demo' });
  assert.strictEqual(unknown.code, 'unauthenticated');
  assert.match(detail(unknown, 'ErrorInfo'), /sluice/);
});

test('reflection describes the details, so that tools can decode them', async () => {
  for (const version of ['v1', 'v1alpha']) {
    for (const type of ['ErrorInfo', 'BadRequest', 'ResourceInfo', 'RetryInfo', 'Status']) {
      const answer = JSON.parse(await ask('-d', `{"file_containing_symbol":"google.rpc.${type}"}`,
        `http://${server.grpcAddress}/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`));
      assert.ok(answer.fileDescriptorResponse, type);
    }
  }
});
