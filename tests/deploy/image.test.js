// The image, run as a pod of the manifests is.
'use strict';

const assert = require('node:assert');
const { execFileSync, spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { adminToken, freePort, root, sleep } = require('../clients/server.js');

const user = '65532:65532';
const sluice = path.join(root, 'bazel-bin/client/cli/sluice');
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-image-'));
const data = path.join(directory, 'data');
const image = `localhost/sluice:test-${process.pid}`;
const name = `sluice-test-${process.pid}`;
// As deploy/kubernetes/base/stateful_set.yaml has it.
const profile = ['--user', user, '--read-only', '--cap-drop=all',
  '--security-opt=no-new-privileges', '--memory=512m', '--memory-swap=512m'];

function run(program, ...args) {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

// Why no container can be run here; nothing where one can.
function hindrance() {
  if (process.getuid() !== 0) return 'containers are run by root in these tests';
  try {
    fs.mkdirSync(data, { recursive: true });
    fs.chownSync(data, 65532, 65532);
    run(path.join(root, 'deploy/docker/collect'), path.join(directory, 'context/image'));
    // The programs are those that are built already, in place of the stage that builds them.
    run('buildah', 'bud', '--isolation=chroot', '--pull-never', '--build-context',
      `build=${directory}/context`, '-f', path.join(root, 'deploy/docker/Dockerfile'), '-t', image,
      path.join(directory, 'context'));
    const tried = spawnSync('podman', ['--runtime=runc', 'run', '--rm', '--network=host', '--ulimit',
      'nofile=20000:20000', '--ulimit', 'nproc=10000:10000', ...profile, image, '--version'],
    { encoding: 'utf8' });
    return tried.status === 0 ? undefined : `podman runs no container here: ${tried.stderr}`;
  } catch (error) {
    return `buildah builds no image here: ${error.stderr || error.message}`;
  }
}

const skip = hindrance();
if (skip) console.error(`# SKIPPED, LOUDLY: the image. ${skip}`);

let ports;
let container;
let log;

async function start() {
  ports = { http: await freePort(), grpc: await freePort(), admin: await freePort() };
  log = '';
  container = spawn('podman', ['--runtime=runc', 'run', '--rm', '--name', name, '--network=host',
    '--ulimit', 'nofile=20000:20000', '--ulimit', 'nproc=10000:10000', ...profile,
    '-e', `SLUICE_ADMIN_TOKEN=${adminToken}`, '-v', `${data}:/var/lib/sluice`, image,
    '--http-listen', `127.0.0.1:${ports.http}`, '--grpc-listen', `127.0.0.1:${ports.grpc}`,
    '--admin-listen', `127.0.0.1:${ports.admin}`, '--drain-seconds', '2', '--log-format=json']);
  for (const stream of [container.stdout, container.stderr]) stream.on('data', (d) => { log += d; });
  container.ended = new Promise((resolve) => container.on('exit', resolve));
  for (let i = 0; i < 300; ++i) {
    const ready = await fetch(`http://127.0.0.1:${ports.admin}/ready`).catch(() => null);
    if (ready && ready.status === 200) return;
    await sleep(50);
  }
  throw new Error(`the container does not start: ${log}`);
}

async function stop() {
  const stopping = spawn('podman', ['stop', '-t', '60', name]);
  const draining = await (async () => {
    for (let i = 0; i < 200; ++i) {
      const answer = await write('m f=1').catch(() => null);
      if (answer && answer.status === 503) return answer.headers.get('retry-after');
      await sleep(20);
    }
    return null;
  })();
  await new Promise((resolve) => stopping.on('exit', resolve));
  return { code: await container.ended, draining };
}

const headers = { Authorization: `Bearer ${adminToken}` };
const write = (body) => fetch(`http://127.0.0.1:${ports.http}/api/v2/write?bucket=demo`,
  { method: 'POST', headers, body });
async function query(q) {
  const answer = await fetch(`http://127.0.0.1:${ports.http}/api/v3/query_sql?`
    + new URLSearchParams({ db: 'demo', q }), { headers });
  return answer.json();
}
const command = (...args) => execFileSync(sluice, ['--server', `127.0.0.1:${ports.grpc}`, ...args],
  { encoding: 'utf8', env: { ...process.env, SLUICE_TOKEN: adminToken } });

before(async () => { if (!skip) await start(); });
after(async () => {
  if (!skip) {
    if (container.exitCode === null) spawnSync('podman', ['rm', '-f', '-t', '0', name]);
    spawnSync('buildah', ['rmi', '-f', image]);
  }
  fs.rmSync(directory, { recursive: true });
});

test('what is in the image', { skip }, () => {
  const [info] = JSON.parse(run('podman', 'image', 'inspect', image));
  assert.strictEqual(info.Config.User, user);
  assert.deepStrictEqual(info.Config.Entrypoint, ['/usr/bin/sluiced']);
  assert.ok(info.Size < 100e6, `${info.Size} bytes`);
  const image_root = path.join(directory, 'context/image');
  const files = run('find', image_root, '-printf', '%P %y %U %m\n').trim().split('\n');
  for (const line of files) {
    const [file, type, owner, mode] = line.split(' ');
    assert.ok(!/(^|\/)(ba|da)?sh$/.test(file), file);
    if (type === 'f') assert.ok((parseInt(mode, 8) & 0o6022) === 0, `${file} ${mode}`);
    // Its user owns what it writes to, and nothing else.
    if (owner === '65532') assert.match(file, /^var\/(lib|backups)\/sluice$/);
  }
});

test('the checks of the quickstart', { skip }, async () => {
  assert.match(command('database', 'create', 'demo'), /^demo/);
  assert.strictEqual((await write('home,room=kitchen temp=21.5,humidity=40i')).status, 204);
  const partly = await write('home,room=kitchen temp=22\nhome,room=hall temp="warm"');
  assert.strictEqual(partly.status, 400);
  assert.match(await partly.text(), /field type conflict: column 'temp'/);
  assert.deepStrictEqual(await query('SELECT count(*) AS n FROM home'), [{ n: 2 }]);
  assert.match(command('query', 'demo', 'SELECT count(*) FROM home'), /\n2/);
  assert.match(log, /memory: 512 MiB in all/);
});

test('load in 512 MiB, a drain, and all of it after a start', { skip }, async () => {
  command('bench', 'demo', '-n', '3000000');
  const [used] = JSON.parse(run('podman', 'inspect', name));
  assert.strictEqual(used.State.OOMKilled, false);
  const metrics = await (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text();
  const resident = Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)[1]);
  console.log(`# ${(resident / 1e6).toFixed(0)} MB resident after the load`);
  const { code, draining } = await stop();
  assert.strictEqual(code, 0);
  assert.strictEqual(draining, '1');
  assert.match(log, /"message":"stopped"/);
  await start();
  // What is not merged yet takes more memory than a query may have: later, it is told.
  let points;
  for (let i = 0; i < 300 && !Array.isArray(points); ++i) {
    points = await query('SELECT count(*) AS n FROM sluice_bench');
    if (!Array.isArray(points)) await sleep(100);
  }
  assert.deepStrictEqual(points, [{ n: 3000000 }]);
});

test('the client is in the image too', { skip }, () => {
  const told = run('podman', 'exec', name, '/usr/bin/sluice', '--server', `127.0.0.1:${ports.grpc}`,
    'info');
  assert.match(told, /^version\t/);
});
