// Metrics, rules and the dashboard, with Prometheus' own programs and a real server.
'use strict';

const assert = require('node:assert');
const { execFileSync, spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const YAML = require('yaml');
const { Server, adminToken, freePort, root, sleep } = require('../clients/server.js');

const bin = path.join(__dirname, 'prometheus/usr/bin');
const promtool = (args, input) => spawnSync(path.join(bin, 'promtool'), args,
  { encoding: 'utf8', input });
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-monitoring-'));
const rulesFile = path.join(root, 'deploy/prometheus/rules.yaml');
const rules = YAML.parse(fs.readFileSync(rulesFile, 'utf8')).groups.flatMap((g) => g.rules);
const dashboard = JSON.parse(fs.readFileSync(path.join(root, 'deploy/grafana/sluice.json'), 'utf8'));
const expressions = dashboard.panels.flatMap((p) => (p.targets || []).map((t) => t.expr));

let server;
let text;

before(async () => {
  const pem = path.join(directory, 'tls');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
    '-nodes', '-days', '30', '-subj', '/CN=localhost', '-keyout', `${pem}.key`, '-out', `${pem}.crt`],
  { stdio: 'ignore' });
  server = await Server.start({ flags: ['--backup-dir', path.join(directory, 'backups')] });
  await server.createDatabase('demo');
  const write = (body, token = adminToken) => fetch(`${server.url}/api/v2/write?bucket=demo`,
    { method: 'POST', headers: { Authorization: `Bearer ${token}` }, body });
  await write('m f=1\nm f="x"');
  await write('m f=1', 'nonsense');
  await server.query('demo', 'SELECT * FROM m');
  execFileSync(path.join(root, 'bazel-bin/client/cli/sluice'),
    ['--server', server.grpcAddress, '--token', adminToken, 'backup', 'create']);
  text = await (await fetch(`${server.url}/metrics`)).text();
});
after(async () => {
  await server.stop();
  fs.rmSync(directory, { recursive: true });
});

// Names as queries have them. Those of TLS are there with TLS.
function names() {
  const known = new Set(['up', 'sluice_tls_certificate_expiry_timestamp_seconds',
    'sluice_tls_reloads_total', 'sluice_tls_reload_failures_total', 'sluice_tls_files_ok']);
  for (const line of text.split('\n')) {
    const name = /^([a-z_]+)[{ ]/.exec(line);
    if (name) known.add(name[1]);
  }
  for (const rule of rules) if (rule.record) known.add(rule.record);
  return known;
}
const used = (expr) => expr.match(/\b(sluice[a-z_:0-9]*|grpc_server_[a-z_]+|process_[a-z_]+|up)\b(?=[\s{[)]|$)/g);

test('promtool finds nothing wrong with the metrics', () => {
  const checked = promtool(['check', 'metrics'], text);
  assert.strictEqual(checked.status, 0, checked.stderr);
  assert.strictEqual(checked.stdout + checked.stderr, '');
});

test('the metrics of TLS are those that the rules name', () => {
  const source = fs.readFileSync(path.join(root, 'server/main.cc'), 'utf8');
  for (const name of ['sluice_tls_certificate_expiry_timestamp_seconds', 'sluice_tls_reloads_total',
    'sluice_tls_reload_failures_total', 'sluice_tls_files_ok']) assert.ok(source.includes(`"${name}"`), name);
});

test('the rules are right, and every alert fires in its test', () => {
  const checked = promtool(['check', 'rules', rulesFile]);
  assert.strictEqual(checked.status, 0, checked.stdout + checked.stderr);
  for (const file of ['rules_test.yaml']) fs.copyFileSync(path.join(__dirname, file), path.join(directory, file));
  fs.copyFileSync(rulesFile, path.join(directory, 'rules.yaml'));
  const tested = promtool(['test', 'rules', path.join(directory, 'rules_test.yaml')]);
  assert.strictEqual(tested.status, 0, tested.stdout + tested.stderr);
  const { tests } = YAML.parse(fs.readFileSync(path.join(__dirname, 'rules_test.yaml'), 'utf8'));
  const fires = new Set(tests.flatMap((t) => (t.alert_rule_test || [])
    .filter((a) => (a.exp_alerts || []).length > 0).map((a) => a.alertname)));
  for (const rule of rules.filter((r) => r.alert)) assert.ok(fires.has(rule.alert), rule.alert);
});

test('every alert has its section in the runbook', () => {
  const runbook = fs.readFileSync(path.join(root, 'deploy/runbook.md'), 'utf8');
  const sections = new Set([...runbook.matchAll(/^#+ (.*)$/gm)]
    .map((m) => m[1].toLowerCase().replace(/[^a-z0-9 -]/g, '').replace(/ /g, '-')));
  for (const rule of rules.filter((r) => r.alert)) {
    const [file, anchor] = rule.annotations.runbook.split('#');
    assert.strictEqual(file, 'deploy/runbook.md');
    assert.ok(sections.has(anchor), `${rule.alert}: ${anchor}`);
  }
});

test('the Prometheus operator gets the same rules', () => {
  const operator = YAML.parse(fs.readFileSync(path.join(root,
    'deploy/kubernetes/components/prometheus/prometheus_rule.yaml'), 'utf8'));
  assert.deepStrictEqual(operator.spec, YAML.parse(fs.readFileSync(rulesFile, 'utf8')));
});

test('every metric of the rules and of the dashboard is there', () => {
  const known = names();
  for (const expr of [...rules.map((r) => r.expr), ...expressions]) {
    const found = used(expr);
    assert.ok(found && found.length > 0, expr);
    for (const name of found) assert.ok(known.has(name), `${name} in ${expr}`);
  }
  assert.ok(expressions.length > 30);
  assert.ok(!known.has('sluice_nonsense_total') && used('rate(sluice_nonsense_total[5m])').length === 1);
});

test('every expression of the dashboard is one', () => {
  const generated = { groups: [{ name: 'dashboard', rules: expressions.map((expr, i) => ({
    record: `panel:${i}`,
    expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$job', '.*').replaceAll('$instance', '.*'),
  })) }] };
  const file = path.join(directory, 'dashboard.yaml');
  fs.writeFileSync(file, YAML.stringify(generated));
  const checked = promtool(['check', 'rules', file]);
  assert.strictEqual(checked.status, 0, checked.stdout + checked.stderr);
});

test('a real Prometheus scrapes the server, and has nothing to alert about', async () => {
  const port = await freePort();
  const config = path.join(directory, 'prometheus.yaml');
  fs.copyFileSync(rulesFile, path.join(directory, 'rules.yaml'));
  fs.writeFileSync(config, YAML.stringify({
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: ['rules.yaml'],
    scrape_configs: [{ job_name: 'sluice',
      static_configs: [{ targets: [`127.0.0.1:${server.httpPort}`] }] }],
  }));
  assert.strictEqual(promtool(['check', 'config', config]).status, 0);
  const prometheus = spawn(path.join(bin, 'prometheus'), [`--config.file=${config}`,
    `--storage.tsdb.path=${directory}/tsdb`, `--web.listen-address=127.0.0.1:${port}`],
  { stdio: 'ignore' });
  try {
    const ask = async (query) => (await (await fetch(`http://127.0.0.1:${port}/api/v1/query?`
      + new URLSearchParams({ query }))).json()).data.result;
    let result = [];
    for (let i = 0; i < 100 && result.length === 0; ++i) {
      await sleep(200);
      result = await ask('sluice_points_ingested_total{door="/api/v2/write"}').catch(() => []);
    }
    assert.strictEqual(result[0].value[1], '1');
    assert.strictEqual((await ask('up{job="sluice"}'))[0].value[1], '1');
    assert.strictEqual((await ask('sluice_ready'))[0].value[1], '1');
    await sleep(3000);
    assert.deepStrictEqual(await ask('ALERTS{alertstate="firing"}'), []);
    // Of what is recorded there is something, and scraping costs no series without end.
    assert.ok((await ask('count({job="sluice"})'))[0].value[1] < 1500);
  } finally {
    const ended = new Promise((resolve) => prometheus.on('exit', resolve));
    prometheus.kill('SIGTERM');
    await ended;
  }
});
