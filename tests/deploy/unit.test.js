// The systemd unit, by systemd's own judgement. It needs no systemd that runs.
'use strict';

const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');
const { root } = require('../clients/server.js');

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-unit-'));
after(() => fs.rmSync(directory, { recursive: true }));

function analyze(text, ...args) {
  // Its program has to be there.
  const unit = path.join(directory, 'sluice.service');
  fs.writeFileSync(unit, text.replace('/usr/bin/sluiced',
    path.join(root, 'bazel-bin/server/sluiced')));
  return spawnSync('systemd-analyze', [...args, unit], { encoding: 'utf8' });
}
const unit = fs.readFileSync(path.join(root, 'deploy/systemd/sluice.service'), 'utf8');

test('every line of the unit is one that systemd knows', () => {
  const good = analyze(unit, 'verify', '--man=no', '--recursive-errors=no');
  assert.strictEqual(good.stdout + good.stderr, '');
  assert.strictEqual(good.status, 0);
  const bad = analyze(unit.replace('NoNewPrivileges=yes', 'NoNewPrivilges=yes'), 'verify',
    '--man=no', '--recursive-errors=no');
  assert.match(bad.stdout + bad.stderr, /NoNewPrivilges/);
});

test('the unit may do little', () => {
  const judged = analyze(unit, 'security', '--offline=true', '--threshold=20');
  const exposure = Number(/exposure level for .*: ([\d.]+)/.exec(judged.stdout + judged.stderr)[1]);
  console.log(`# exposure ${exposure}, of 10`);
  assert.ok(exposure <= 2, `${exposure}`);
});

test('the unit only sets what the server knows', () => {
  for (const [, flag] of unit.matchAll(/sluiced.* (--[a-z-]+)/g)) assert.strictEqual(flag, '--data-dir');
});
