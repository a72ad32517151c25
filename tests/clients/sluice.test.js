// The command line client, as a person uses it.
'use strict';

const assert = require('node:assert');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const zlib = require('node:zlib');

const { Server, adminToken, root, sleep } = require('./server');

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
  assert.match(gone.stderr, /database "a" not found\nsluice database list shows/);
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
  assert.match(some.stdout, /^1 points ingested, 1 lines rejected, .*\nSYNTAX: 1\n {2}line 2: Expected .*\n {4}bad\n/);
  assert.strictEqual(sluice(['write', 'lines'], { input: 'bad' }).status, 2);
  const dry = sluice(['validate', 'lines'], { input: 'm f=1 2\nm f=t 3' });
  assert.strictEqual(dry.status, 2);
  assert.match(dry.stdout, /^nothing written: 1 points would be ingested, 1 lines rejected\nTYPE_CONFLICT: 1\n {2}line 2: /);
  assert.strictEqual(sluice(['query', 'lines', 'SELECT count(*) FROM m']).stdout.split('\n')[1], '1');
  const tail = sluice(['rejections', 'tail', 'lines']).stdout;
  assert.match(tail, /_admin 127\.0\.0\.1:\d+ grpc_stream line 2: SYNTAX[^]* line 1: SYNTAX/);
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

const rows = (database, sql) => JSON.parse(sluice(['query', database, sql, '-f', 'json']).stdout);

test('files of any size are written in a stream, compressed or not, and summed up', () => {
  sluice(['database', 'create', 'files']);
  let text = '';
  for (let i = 0; i < 100_000; ++i) {
    if (i % 100 === 50) text += i % 200 === 50 ? 'no fields\n' : `m,h=h${i % 7} f="x" ${i}\n`;
    else text += `m,h=h${i % 7} f=${i},s="two\nlines, \\"quoted\\"" ${i}\n`;
  }
  const plain = path.join(server.directory, 'file.lp');
  fs.writeFileSync(plain, text);
  const gz = path.join(server.directory, 'file.lp.gz');
  // Two members are one file.
  fs.writeFileSync(gz, Buffer.concat([zlib.gzipSync(text.slice(0, 1_000_003)), zlib.gzipSync(text.slice(1_000_003))]));
  const zst = path.join(server.directory, 'file.lp.zst');
  fs.writeFileSync(zst, spawnSync('zstd', ['-c', plain], { maxBuffer: 1 << 30 }).stdout);
  for (const [table, file] of [['plain', plain], ['gz', gz], ['zst', zst]]) {
    const name = `files_${table}`;
    sluice(['database', 'create', name]);
    const wrote = sluice(['write', name, file]);
    assert.strictEqual(wrote.status, 2, wrote.stderr);
    assert.match(wrote.stdout, /^99000 points ingested, 1000 lines rejected, /);
    assert.match(wrote.stdout, /\nSYNTAX: 500\n {2}line 101: /);
    assert.match(wrote.stdout, /\nTYPE_CONFLICT: 500\n {2}line 300: /);
    assert.deepStrictEqual(rows(name, 'SELECT count(*) AS n, count(DISTINCT s) AS s FROM m'), [{ n: 99_000, s: 1 }]);
  }
  const cut = path.join(server.directory, 'cut.gz');
  fs.writeFileSync(cut, fs.readFileSync(gz).subarray(0, 100_000));
  const damaged = sluice(['write', 'files', cut]);
  assert.strictEqual(damaged.status, 1);
  assert.match(damaged.stderr, /damaged or cut short/);
});

test('lines that are not UTF-8 cost no others', () => {
  sluice(['database', 'create', 'bytes']);
  const wrote = sluice(['write', 'bytes'], { input: Buffer.from('m f=1 1\nm,x=\xff f=1 2\nm f=3 3\nbad', 'latin1') });
  assert.strictEqual(wrote.status, 2);
  assert.match(wrote.stdout, /^2 points ingested, 2 lines rejected[^]*NOT_UTF8: 1\n {2}line 2: [^]*SYNTAX: 1\n {2}line 4: /);
});

test('CSV is written by its header', () => {
  sluice(['database', 'create', 'csv']);
  const input = 'time,station,temp,"say ""ok""",count:integer,note\r\n1,a b,1.5,true,7,"x, ""y""\nz"\n'
    + '2,b,2,false,8,\n3,c,warm,true,9,n\n4,c\n5,d,4,f,ten,n\n';
  const wrote = sluice(['write', 'csv', '--csv', 'w', '--tags', 'station'], { input });
  assert.strictEqual(wrote.status, 2, wrote.stderr);
  assert.match(wrote.stdout, /^3 points ingested, 2 lines rejected/);
  assert.match(wrote.stdout, /line 6: 2 values, and the header has 6 columns/);
  assert.match(wrote.stdout, /line 7: 'ten' is not of type integer, as the column 'count' is/);
  assert.deepStrictEqual(rows('csv', 'SELECT * FROM w WHERE station = \'a b\''), [{
    time: '1970-01-01T00:00:00.000000001Z', station: 'a b', count: 7, note: 'x, "y"\nz', 'say "ok"': true, temp: '1.5',
  }]);
});

test('a write that was broken off goes on where it was', () => {
  sluice(['database', 'create', 'resume']);
  const file = path.join(server.directory, 'resume.lp');
  let text = '';
  for (let i = 0; i < 60_000; ++i) text += `m f=${i} ${i}\n`;
  fs.writeFileSync(file, text);
  assert.match(sluice(['write', 'resume', file, '--resume-id', 'r']).stdout, /^60000 points/);
  const again = sluice(['write', 'resume', file, '--resume-id', 'r']);
  assert.match(again.stdout, /^0 points[^]*had been written before/);
  assert.strictEqual(again.status, 0, again.stderr);
});

test('a file that has changed, or is read in another way, is written from its beginning', () => {
  sluice(['database', 'create', 'changed']);
  const file = path.join(server.directory, 'changed.lp');
  const write = (...options) => sluice(['write', 'changed', file, '--resume-id', 'r', ...options]);
  fs.writeFileSync(file, 'm f=1 1\nm f=2 2\n');
  assert.match(write().stdout, /^2 points/);
  fs.appendFileSync(file, 'm f=3 3\n');
  assert.match(write().stdout, /^3 points/);
  assert.match(write('--precision', 's').stdout, /^3 points/);
  // As long as before, in the same place.
  const { atimeMs } = fs.statSync(file);
  fs.writeFileSync(file, 'm f=9 1\nm f=2 2\nm f=3 3\n');
  fs.utimesSync(file, atimeMs / 1000, Date.now() / 1000 + 1);
  assert.match(write().stdout, /^3 points/);
  assert.deepStrictEqual(rows('changed', 'SELECT f FROM m WHERE time < 10 ORDER BY time'), [{ f: 9 }, { f: 2 }, { f: 3 }]);
  const csv = path.join(server.directory, 'changed.csv');
  fs.writeFileSync(csv, 'time,a,b\n1,2,3\n');
  const csvWrite = (...options) => sluice(['write', 'changed', csv, '--resume-id', 'r', '--csv', 'c', ...options]).stdout;
  assert.match(csvWrite(), /^1 points/);
  assert.match(csvWrite(), /^0 points/);
  assert.match(csvWrite('--null', 'a'), /^1 points/);
  assert.match(csvWrite('--null', 'b'), /^1 points/);
  const pipe = sluice(['write', 'changed', '--resume-id', 'r'], { input: 'm f=1 1' });
  assert.strictEqual(pipe.status, 1);
  assert.match(pipe.stderr, /--resume-id is for a file/);
  for (const id of ['a b', 'x'.repeat(48), '']) {
    assert.strictEqual(sluice(['write', 'changed', file, '--resume-id', id]).status, 64, id);
  }
  assert.strictEqual(sluice(['write', 'changed', file, '--resume-id', 'x'.repeat(47)]).status, 0);
});

test('all of it or nothing, of whatever can be written', () => {
  sluice(['database', 'create', 'whole']);
  const write = (input, ...options) => sluice(['write', 'whole', '--all-or-nothing', ...options], { input });
  const some = write('m f=1 1\nbad\nm f=2 2');
  assert.strictEqual(some.status, 2);
  assert.match(some.stdout, /^0 points ingested, 1 lines rejected, [^]*SYNTAX: 1\n {2}line 2: /);
  assert.strictEqual(write(Buffer.from('m f=1 1\nm,t=\xff f=1', 'latin1')).status, 2);
  assert.strictEqual(write('time,f\n1,2\n2,x:\n3\n', '--csv', 'm').status, 2);
  assert.deepStrictEqual(sluice(['table', 'list', 'whole']).stdout, '');
  assert.match(write(zlib.gzipSync('m f=1 1\nm f=2 2')).stdout, /^2 points ingested, 0 lines/);
  assert.match(write('time,f\n1,2\n2,3\n', '--csv', 'm').stdout, /^2 points ingested, 0 lines/);
  assert.deepStrictEqual(rows('whole', 'SELECT f FROM m'), [{ f: 2 }, { f: 3 }]);
  assert.strictEqual(write('m f=1', '--resume-id', 'r').status, 64);
});

test('what a query prints as CSV can be written again', () => {
  sluice(['database', 'create', 'back']);
  sluice(['write', 'back'], { input: 'm,t=a f=1.5,s="x, y" 1700000000123456789\nm,t=b f=2 5' });
  const csv = sluice(['query', 'back', 'SELECT * FROM m', '-f', 'csv']).stdout;
  const wrote = sluice(['write', 'back', '--csv', 'n', '--tags', 't'], { input: csv });
  assert.strictEqual(wrote.status, 0, wrote.stdout);
  assert.match(wrote.stderr, /^columns: time:time, t:tag, f:float, s:string /);
  assert.deepStrictEqual(rows('back', 'SELECT * FROM n'), rows('back', 'SELECT * FROM m'));
});

test('CSV for a table that is there takes its types, and loses nothing', () => {
  sluice(['database', 'create', 'types']);
  sluice(['write', 'types'], { input: 'm,t=a i=-9223372036854775808i,u=18446744073709551615u,s="",n="5" 1\nm,t=b f=0.5 2' });
  const csv = sluice(['query', 'types', 'SELECT * FROM m ORDER BY time', '-f', 'csv']).stdout;
  const wrote = sluice(['write', 'types', '--csv', 'm'], { input: csv });
  assert.strictEqual(wrote.status, 0, wrote.stdout);
  assert.match(wrote.stdout, /^2 points ingested/);
  assert.match(wrote.stderr, /t:tag/);
  assert.strictEqual(sluice(['query', 'types', 'SELECT * FROM m ORDER BY time', '-f', 'csv']).stdout, csv);
});

test('an option takes one value, and leaves the arguments alone', () => {
  sluice(['database', 'create', 'greedy']);
  const file = path.join(server.directory, 'greedy.csv');
  fs.writeFileSync(file, 'time,a,b,c\n1,x,y,2\n');
  assert.strictEqual(sluice(['write', '--csv', 'm', '--tags', 'a,b', 'greedy', file]).status, 0);
  assert.deepStrictEqual(rows('greedy', 'SELECT a, b, c FROM m'), [{ a: 'x', b: 'y', c: 2 }]);
  assert.strictEqual(sluice(['token', 'create', 't1', '--read', 'greedy', 't2']).status, 64);
  sluice(['token', 'create', 'several', '--read', 'greedy,csv', '--write', 'csv']);
  assert.match(sluice(['token', 'list']).stdout, /^several\tcsv:read,write greedy:read\t/m);
});

// The command while it runs: a signal, a server that goes.
function start(args) {
  const child = spawn(path.join(root, 'bazel-bin/client/cli/sluice'), ['--server', server.grpcAddress, ...args],
    { env: { ...process.env, SLUICE_TOKEN: adminToken } });
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr']) child[stream].on('data', (bytes) => { output[stream] += bytes; });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  return { child, output, ended };
}

test('an interrupted write says what is in', async () => {
  sluice(['database', 'create', 'signal']);
  const { child, output, ended } = start(['write', 'signal']);
  child.stdin.write('m f=1 1\nm f=2 2\n');
  while (!/"n":2/.test(sluice(['query', 'signal', 'SELECT count(*) AS n FROM m', '-f', 'jsonl']).stdout)) await sleep(50);
  child.stdin.write('m f=3 3\n');
  child.kill('SIGINT');
  assert.strictEqual(await ended, 130);
  assert.match(output.stdout, /^[23] points ingested, 0 lines rejected/);
  assert.match(output.stderr, /interrupted/);
});

test('a server that is away is told of, and waited for', { timeout: 60_000 }, async () => {
  sluice(['database', 'create', 'away']);
  const { child, output, ended } = start(['write', 'away']);
  child.stdin.write('m f=1 1\n');
  while (!/"n":1/.test(sluice(['query', 'away', 'SELECT count(*) AS n FROM m', '-f', 'jsonl']).stdout)) await sleep(50);
  await server.restart(async () => {
    child.stdin.end('m f=2 2\n');
    while (!/no server for \d+ s, trying again \(/.test(output.stderr)) await sleep(50);
  });
  assert.strictEqual(await ended, 0, output.stderr);
  assert.match(output.stdout, /^2 points ingested/);
});

test('what was broken off and is finished says again which lines cannot be read', () => {
  sluice(['database', 'create', 'again']);
  const file = path.join(server.directory, 'again.lp');
  fs.writeFileSync(file, 'm f=1 1\nbad\n');
  assert.strictEqual(sluice(['write', 'again', file, '--resume-id', 'r']).status, 2);
  const again = sluice(['write', 'again', file, '--resume-id', 'r']);
  assert.strictEqual(again.status, 2);
  assert.match(again.stdout, /^0 points ingested, 1 lines rejected[^]*SYNTAX: 1\n {2}line 2: /);
});

test('results come in every format', () => {
  sluice(['database', 'create', 'formats']);
  sluice(['write', 'formats'], { input: 'm f=1.5,s="a,\\"b" 1\nm f=2 2' });
  const query = (format) => sluice(['query', 'formats', 'SELECT f, s FROM m', '-f', format]).stdout;
  assert.strictEqual(query('tsv'), 'f\ts\n1.5\ta,"b\n2\tNULL\n');
  assert.strictEqual(query('csv'), 'f,s\n1.5,"a,""b"\n2,\n');
  assert.strictEqual(query('jsonl'), '{"f":1.5,"s":"a,\\"b"}\n{"f":2.0}\n');
  assert.deepStrictEqual(JSON.parse(query('json')), [{ f: 1.5, s: 'a,"b' }, { f: 2 }]);
  assert.strictEqual(query('table'), '  f  s\n---  ----\n1.5  a,"b\n  2  NULL\n(2 rows)\n');
  assert.strictEqual(sluice(['query', 'formats', 'SELECT f FROM m WHERE f > 9', '-f', 'json']).stdout, '[]\n');
});

test('it tells of the server, measures it, and completes its own commands', () => {
  assert.match(sluice(['info']).stdout, /^version\t\d[^]*you are\t_admin[^]*write_stream/);
  assert.doesNotMatch(sluice(['info'], { token: '' }).stdout, /instance/);
  sluice(['database', 'create', 'bench']);
  assert.match(sluice(['bench', 'bench', '-n', '10000']).stdout, /^10000 points of 10 fields in/);
  assert.match(sluice(['--version']).stdout, /^\d+\.\d+\.\d+\n$/);
  const script = sluice(['completion', 'bash']).stdout;
  const complete = (...words) => spawnSync('bash', ['-c',
    `${script}\nCOMP_WORDS=(sluice ${words.join(' ')}); COMP_CWORD=${words.length}; _sluice; echo "\${COMPREPLY[@]}"`],
  { encoding: 'utf8' }).stdout.trim();
  assert.strictEqual(complete('que'), 'query');
  assert.strictEqual(complete('database', 'cr'), 'create');
  assert.match(complete('write', '--res'), /^--resume-id$/);
  assert.match(sluice(['completion', 'zsh']).stdout, /bashcompinit/);
});

test('options come from a file too, which goes before the environment', () => {
  const file = path.join(server.directory, 'sluice.conf');
  const ask = (args, env) => spawnSync(path.join(root, 'bazel-bin/client/cli/sluice'), args,
    { encoding: 'utf8', env: { ...process.env, SLUICE_TOKEN: adminToken, SLUICE_SERVER: '127.0.0.1:1', ...env } });
  fs.writeFileSync(file, `server=${server.grpcAddress}\n`);
  assert.match(ask(['info'], { SLUICE_CONFIG: file }).stdout, /you are\t_admin/);
  assert.match(ask(['--config', file, 'info']).stdout, /you are\t_admin/);
  assert.strictEqual(ask(['info', '--server', '127.0.0.1:2'], { SLUICE_CONFIG: file }).status, 1);
  assert.strictEqual(ask(['info']).status, 1);
  const missing = ask(['info'], { SLUICE_CONFIG: `${file}.none` });
  assert.strictEqual(missing.status, 64);
  assert.match(missing.stderr, /cannot read the file that SLUICE_CONFIG names/);
  fs.writeFileSync(file, 'servr=1\n');
  assert.strictEqual(ask(['info'], { SLUICE_CONFIG: file }).status, 64);
});

test('a mistake in the command has an exit code of its own', () => {
  const nonsense = sluice(['nonsense']);
  assert.strictEqual(nonsense.status, 64);
  assert.match(nonsense.stderr, /^no such command or option here: nonsense\n/);
  assert.match(sluice(['write', '--nonsense']).stderr, /option here: --nonsense\n/);
  assert.match(sluice(['write', 'a', 'b', 'c']).stderr, /option here: c\n/);
  assert.strictEqual(sluice(['query']).status, 64);
  assert.strictEqual(sluice(['--help']).status, 0);
});
