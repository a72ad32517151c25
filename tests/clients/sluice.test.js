// The command line client, as a person uses it.
'use strict';

const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');

const { Server, adminToken, root } = require('./server');

let server;

before(async () => { server = await Server.start(); });
after(() => server.stop());

// Runs the command; `token` goes into the environment.
function sluice(args, { token = adminToken, input = '', address = server.grpcAddress } = {}) {
  const { status, stdout, stderr } = spawnSync(path.join(root, 'bazel-bin/client/cli/sluice'),
    ['--server', address, ...args],
    { input, encoding: 'utf8', env: { ...process.env, SLUICE_TOKEN: token } });
  return { status, stdout, stderr };
}

test('databases are created, shown, changed and dropped', () => {
  assert.match(sluice(['database', 'create', 'a', '--retention', '2w3d']).stdout,
    /^a\tretention 408h\ttables default\tcolumns default\t/);
  assert.match(sluice(['database', 'update', 'a', '--retention', 'none', '--max-tables', '7']).stdout,
    /^a\tretention none\ttables 7\tcolumns default\t/);
  assert.match(sluice(['database', 'update', 'a', '--max-tables', 'none']).stdout, /tables default/);
  assert.match(sluice(['database', 'update', 'a']).stderr, /nothing to change/);
  assert.match(sluice(['database', 'list']).stdout, /^a\t/m);
  assert.strictEqual(sluice(['database', 'drop', 'a']).status, 0);
  const gone = sluice(['database', 'get', 'a']);
  assert.strictEqual(gone.status, 1);
  assert.match(gone.stderr, /database "a" not found/);
});

test('a token is made, used and deleted', () => {
  sluice(['database', 'create', 'demo']);
  const made = sluice(['token', 'create', 'w', '--write', 'demo', '--expires-in', '1h']);
  const token = made.stdout.trim();
  assert.match(token, /^sluice_[\w-]{86}$/);
  assert.match(sluice(['token', 'list']).stdout, /^w\tdemo:write\texpires 20/m);
  assert.strictEqual(sluice(['write', 'demo'], { token, input: 'm f=1 1' }).status, 0);
  assert.match(sluice(['query', 'demo', 'SELECT 1'], { token }).stderr,
    /the token 'w' may not read database "demo"/);
  const file = path.join(server.directory, 'token');
  fs.writeFileSync(file, `${token}\n`);
  assert.strictEqual(
    sluice(['write', 'demo', '--token-file', file], { token: 'wrong', input: 'm f=1 2' }).status, 0);
  assert.strictEqual(sluice(['token', 'delete', 'w']).status, 0);
  const refused = sluice(['write', 'demo'], { token, input: 'm f=1 1' });
  assert.strictEqual(refused.status, 1);
  assert.match(refused.stderr, /unauthorized access\nGive a valid token/);
  assert.match(sluice(['token', 'generate']).stdout, /^sluice_[\w-]{86}\n$/);
});

test('rejected lines are told, judged again without writing, and looked up afterwards', () => {
  sluice(['database', 'create', 'lines']);
  const some = sluice(['write', 'lines'], { input: 'm f=1 1\nbad' });
  assert.strictEqual(some.status, 2);
  assert.match(some.stdout, /1 points ingested, 1 lines rejected\nline 2: SYNTAX: /);
  assert.strictEqual(sluice(['write', 'lines'], { input: 'bad' }).status, 2);
  const dry = sluice(['validate', 'lines'], { input: 'm f=1 2\nm f=t 3' });
  assert.strictEqual(dry.status, 2);
  assert.match(dry.stdout, /^nothing written: 1 points would be ingested, 1 lines rejected\nline 2: TYPE_CONFLICT/);
  assert.strictEqual(sluice(['query', 'lines', 'SELECT count(*) FROM m']).stdout.split('\n')[1], '1');
  const tail = sluice(['rejections', 'tail', 'lines']).stdout;
  assert.match(tail, /_admin 127\.0\.0\.1:\d+ grpc line 2: SYNTAX[^]* line 1: SYNTAX/);
  assert.doesNotMatch(sluice(['rejections', 'tail', 'lines', '-n', '1']).stdout, /line 2/);
});

test('what goes wrong says what to do', () => {
  const nobody = sluice(['database', 'list'], { address: '127.0.0.1:1' });
  assert.strictEqual(nobody.status, 1);
  assert.match(nobody.stderr, /Does a server serve gRPC there\?/);
  assert.match(sluice(['write', 'demo', '/no/such/file']).stderr, /cannot read the file/);
  assert.match(sluice(['database', 'create', 'x', '--retention', '5x']).stderr, /'5x' is not a period/);
  assert.match(sluice(['database', 'create', 'x', '--retention', '101y']).stderr, /at most 100 years/);
});

test('a token is trimmed, checked, and never shown', () => {
  sluice(['database', 'create', 'trim']);
  assert.strictEqual(sluice(['database', 'list'], { token: ` ${adminToken}\n` }).status, 0);
  const wrong = sluice(['database', 'list', '--token', 'geheim-\u00e4-geheim']);
  assert.strictEqual(wrong.status, 1);
  assert.match(wrong.stderr, /the token has a space or a character that is not ASCII/);
  assert.doesNotMatch(wrong.stderr, /geheim/);
});

test('output that cannot be written is a failure, and the secret is not lost in silence', () => {
  sluice(['database', 'create', 'full']);
  const full = fs.openSync('/dev/full', 'w');
  const toFull = (args) => spawnSync(path.join(root, 'bazel-bin/client/cli/sluice'),
    ['--server', server.grpcAddress, ...args],
    { stdio: ['ignore', full, 'pipe'], encoding: 'utf8', env: { ...process.env, SLUICE_TOKEN: adminToken } });
  const query = toFull(['query', 'full', 'SELECT 1']);
  assert.strictEqual(query.status, 1);
  assert.match(query.stderr, /the output could not be written/);
  const made = toFull(['token', 'create', 'lost', '--admin']);
  assert.strictEqual(made.status, 1);
  assert.match(made.stderr, /was deleted again/);
  assert.doesNotMatch(sluice(['token', 'list']).stdout, /^lost/m);
  fs.closeSync(full);
});

test('a mistake in the command has an exit code of its own', () => {
  assert.strictEqual(sluice(['nonsense']).status, 64);
  assert.strictEqual(sluice(['query']).status, 64);
  assert.strictEqual(sluice(['--help']).status, 0);
});
