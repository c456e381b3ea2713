// The official client for API 2016-08-15 against the embedded cloud at $CLOUD_URL.
// The tests build on one another and run in the order of the file.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { account, client, endpoint, pages, plain, refused, until, zipFolder, zipText } from './help.mjs';

const fc = client();
const dir = mkdtempSync(path.join(tmpdir(), 'devs-e2e-'));
after(() => rmSync(dir, { recursive: true }));

const svc = 'e2e';
const call = async (event, qualifier, headers, fn = 'event') => {
  const answer = await fc.invokeFunction(svc, fn, JSON.stringify(event), headers, qualifier);
  return { ...answer, json: JSON.parse(answer.data || 'null') };
};

test('a service is created, read, changed and listed', async () => {
  const made = await fc.createService(svc, { description: 'first' });
  assert.equal(made.data.serviceName, svc);
  assert.match(made.data.serviceId, /^[-0-9a-f]{36}$/);
  assert.equal(made.data.internetAccess, true);
  assert.ok(made.headers.etag && made.headers['x-fc-request-id']);
  const changed = await fc.updateService(svc, { description: 'second', internetAccess: false });
  assert.equal(changed.data.serviceId, made.data.serviceId);
  assert.notEqual(changed.headers.etag, made.headers.etag);
  const got = await fc.getService(svc);
  assert.deepEqual(got.data, changed.data);
  assert.equal(got.headers.etag, changed.headers.etag);
  assert.equal(got.data.description, 'second');
  assert.equal(got.data.internetAccess, false);
  const { data } = await fc.listServices({ prefix: svc });
  assert.deepEqual(data.services, [got.data]);
});

test('functions are created from inline code and from a folder', async () => {
  const inline = await fc.createFunction(svc, {
    functionName: 'inline', runtime: 'nodejs16', handler: 'index.handler', memorySize: '256', timeout: '7',
    code: { zipFile: zipText('exports.handler = (e, c, done) => done(null, "inline " + e)') },
  });
  assert.equal(inline.data.memorySize, 256);
  assert.equal(inline.data.timeout, 7);
  assert.equal((await fc.invokeFunction(svc, 'inline', 'code')).data, 'inline code');

  const zipFile = zipFolder('code/event');
  const { data } = await fc.createFunction(svc, {
    functionName: 'event', runtime: 'nodejs16', handler: 'index.handler', environmentVariables: { MOOD: 'calm' }, code: { zipFile },
  });
  assert.equal(data.codeSize, Buffer.from(zipFile, 'base64').length);
  assert.deepEqual((await fc.getFunction(svc, 'event')).data, data);
  assert.deepEqual((await fc.listFunctions(svc)).data.functions.map((f) => f.functionName), ['event', 'inline']);

  const code = await fc.getFunctionCode(svc, 'event');
  const fetched = Buffer.from(await (await fetch(code.data.url)).arrayBuffer());
  assert.equal(fetched.toString('base64'), zipFile);
  assert.equal(code.data.checksum, data.codeChecksum);
});

test('a function is changed, only in what the change names', async () => {
  const before = (await fc.getFunction(svc, 'inline')).data;
  const { data } = await fc.updateFunction(svc, 'inline', { description: 'changed' });
  assert.deepEqual({ ...data, description: before.description, lastModifiedTime: before.lastModifiedTime }, before);
  assert.equal(data.description, 'changed');
  await fc.updateFunction(svc, 'inline', { code: { zipFile: zipText('exports.handler = (e, c, done) => done(null, "new " + e)') } });
  assert.equal((await fc.invokeFunction(svc, 'inline', 'code')).data, 'new code');
});

test('a function is invoked and knows where it runs', async () => {
  const { json, headers } = await call({ who: 'client' });
  assert.equal(json.greeting, 'hello client');
  assert.equal(json.mood, 'calm');
  assert.equal(json.service, svc);
  assert.equal(json.function, 'event');
  assert.equal(json.requestId, headers['x-fc-request-id']);
  assert.equal(headers['x-fc-error-type'], undefined);
});

test('an event of bytes comes back as it was sent', async () => {
  const event = randomBytes(100_000);
  const { data } = await fc.invokeFunction(svc, 'event', event, {}, undefined, { rawBuf: true });
  assert.ok(event.equals(data));
});

test('the tail of the log is in a header', async () => {
  const { headers } = await call({ log: 'a line of the log' }, undefined, { 'x-fc-log-type': 'Tail' });
  const log = Buffer.from(headers['x-fc-log-result'], 'base64').toString();
  assert.match(log, /a line of the log/);
  assert.match(log, new RegExp(`RequestId: ${headers['x-fc-request-id']}`));
  assert.match(log, /Duration: [0-9.]+ ms/);
});

test('an error of the function is in a header and in the answer', async () => {
  const { headers, json } = await call({ fail: 'it broke' });
  assert.equal(headers['x-fc-error-type'], 'HandledInvocationError');
  assert.equal(json.errorMessage, 'it broke');
  assert.equal(json.errorType, 'Error');
});

test('an asynchronous invocation answers at once and is run', async () => {
  const file = path.join(dir, 'async');
  const { headers, data } = await fc.invokeFunction(svc, 'event', JSON.stringify({ write: file }), { 'x-fc-invocation-type': 'Async' });
  assert.equal(data, '');
  await until('the asynchronous invocation', () => existsSync(file) && readFileSync(file, 'utf8'));
  assert.equal(readFileSync(file, 'utf8'), 'written by ' + headers['x-fc-request-id']);
});

test('an http trigger with authType function lets signed requests pass only', async () => {
  await fc.createFunction(svc, { functionName: 'web', runtime: 'nodejs16', handler: 'index.handler', code: { zipFile: zipFolder('code/web') } });
  const { data } = await fc.createTrigger(svc, 'web', {
    triggerName: 'http', triggerType: 'http', triggerConfig: { authType: 'function', methods: ['GET', 'POST'] },
  });
  assert.equal(data.triggerConfig.authType, 'function');
  assert.deepEqual(data.triggerConfig.methods, ['GET', 'POST']);

  const got = await fc.get(`/proxy/${svc}/web/a%20b/c`, { x: '1 2', y: 'ü&=', list: ['b', 'a'] }, { 'x-sent': 'yes' });
  const seen = JSON.parse(got.data);
  assert.equal(seen.method, 'GET');
  assert.equal(seen.path, '/a%20b/c'); // as it was sent
  assert.equal(seen.queries.x, '1 2');
  assert.equal(seen.queries.y, 'ü&=');
  assert.deepEqual(seen.queries.list, ['b', 'a']);
  assert.equal(got.headers['x-seen'], 'yes');
  const posted = await fc.post(`/proxy/${svc}/web/`, 'some body', {}, { z: '3' });
  assert.equal(JSON.parse(posted.data).body, 'some body');
  assert.equal(JSON.parse(posted.data).queries.z, '3');

  await refused(client({ accessKeySecret: 'wrong' }).get(`/proxy/${svc}/web/`), 'SignatureNotMatch', 403);
  const open = await plain('GET', data.urlInternet);
  assert.ok(open.status === 400 || open.status === 403, `unsigned request: ${open.status}`);
  assert.equal(JSON.parse(open.text).ErrorCode, 'MissingRequiredHeader');
  await refused(fc.put(`/proxy/${svc}/web/`, 'x'), 'MethodNotAllowed', 405);
});

test('an anonymous http trigger lets everybody pass', async () => {
  const { data } = await fc.updateTrigger(svc, 'web', 'http', { triggerConfig: { authType: 'anonymous', methods: ['GET', 'PUT'] } });
  const answer = await plain('PUT', data.urlInternet + 'deep/path?status=201&q=1', { body: 'bytes', headers: { 'x-sent': 'open' } });
  assert.equal(answer.status, 201);
  assert.equal(answer.headers['x-seen'], 'open');
  assert.deepEqual(JSON.parse(answer.text), { method: 'PUT', path: '/deep/path', queries: { status: '201', q: '1' }, body: 'bytes' });
});

test('a timer trigger has an object as its configuration', async () => {
  const triggerConfig = { cronExpression: '0 0 4 * * *', enable: true, payload: 'tick' };
  const made = await fc.createTrigger(svc, 'event', { triggerName: 'timer', triggerType: 'timer', triggerConfig });
  assert.deepEqual(made.data.triggerConfig, triggerConfig);
  const changed = await fc.updateTrigger(svc, 'event', 'timer', { triggerConfig: { ...triggerConfig, enable: false } });
  assert.equal(changed.data.triggerConfig.enable, false);
  assert.deepEqual((await fc.getTrigger(svc, 'event', 'timer')).data, changed.data);
  assert.deepEqual((await fc.listTriggers(svc, 'event')).data.triggers, [changed.data]);
  await refused(fc.createTrigger(svc, 'event', { triggerName: 'bad', triggerType: 'timer', triggerConfig: { cronExpression: 'soon' } }), 'InvalidArgument', 400);
  await fc.deleteTrigger(svc, 'event', 'timer');
  await refused(fc.getTrigger(svc, 'event', 'timer'), 'TriggerNotFound', 404);
});

test('versions are frozen and an alias shares calls among them', async () => {
  const one = await fc.publishVersion(svc, 'calm');
  assert.equal(one.data.versionId, '1');
  await refused(fc.publishVersion(svc), 'VersionPublishError', 400);
  await fc.updateFunction(svc, 'event', { environmentVariables: { MOOD: 'merry' } });
  assert.equal((await fc.publishVersion(svc, 'merry')).data.versionId, '2');
  assert.deepEqual((await fc.listVersions(svc)).data.versions.map((v) => v.versionId), ['2', '1']);

  const made = await fc.createAlias(svc, 'prod', '1', { additionalVersionWeight: { 2: 0.5 } });
  assert.deepEqual(made.data.additionalVersionWeight, { 2: 0.5 });
  const moods = new Set();
  await until('a call of each version', async () => {
    const { json, headers } = await call({}, 'prod');
    assert.equal(headers['x-fc-invocation-service-version'], json.version);
    assert.equal(json.qualifier, 'prod');
    assert.equal(json.mood, json.version === '1' ? 'calm' : 'merry');
    moods.add(json.mood);
    return moods.size === 2;
  });
  const changed = await fc.updateAlias(svc, 'prod', '1', { additionalVersionWeight: {} });
  assert.deepEqual(changed.data.additionalVersionWeight, {});
  assert.deepEqual((await fc.getAlias(svc, 'prod')).data, changed.data);
  assert.deepEqual((await fc.listAliases(svc)).data.aliases, [changed.data]);
});

test('svc.qualifier leads to versions and aliases', async () => {
  for (const [qualifier, mood] of [['1', 'calm'], ['2', 'merry'], ['prod', 'calm'], ['LATEST', 'merry']]) {
    assert.equal((await call({}, qualifier)).json.mood, mood, qualifier);
  }
  assert.equal((await fc.getFunction(svc, 'event', {}, 'prod')).data.environmentVariables.MOOD, 'calm');
  assert.equal((await fc.getService(svc, {}, '1')).data.serviceName, svc);
  assert.equal((await fc.listFunctions(svc, {}, {}, '1')).data.functions.length, 3);
  await refused(fc.getFunction(svc, 'event', {}, '9'), 'VersionNotFound', 404);
  await refused(fc.getFunction(svc, 'event', {}, 'nobody'), 'AliasNotFound', 404);
  await refused(fc.deleteVersion(svc, '1'), 'VersionNotEmpty', 409);
});

test('a custom domain leads to the function by the Host header', async () => {
  const domain = 'e2e.example.com';
  const route = { path: '/api/*', serviceName: svc, functionName: 'web', methods: ['GET'] };
  const made = await fc.createCustomDomain(domain, { protocol: 'HTTP', routeConfig: { routes: [route] } });
  assert.equal(made.data.routeConfig.routes[0].path, '/api/*');
  const answer = await plain('GET', endpoint + '/api/x?a=b', { host: domain });
  assert.equal(answer.status, 200);
  assert.deepEqual(JSON.parse(answer.text), { method: 'GET', path: '/api/x', queries: { a: 'b' }, body: '' });
  assert.equal((await plain('GET', endpoint + '/other', { host: domain })).status, 404);
  assert.equal((await plain('POST', endpoint + '/api/x', { host: domain })).status, 405);

  await fc.updateCustomDomain(domain, { protocol: 'HTTP', routeConfig: { routes: [{ ...route, path: '/*' }] } });
  assert.equal((await plain('GET', endpoint + '/other', { host: domain })).status, 200);
  const got = (await fc.getCustomDomain(domain)).data;
  assert.deepEqual(got.routeConfig.routes.map((r) => r.path), ['/*']);
  assert.deepEqual((await fc.listCustomDomains()).data.customDomains, [got]);
  await fc.deleteCustomDomain(domain);
  await refused(fc.getCustomDomain(domain), 'DomainNameNotFound', 404);
});

test('the configuration of asynchronous invocations is used', async () => {
  const arn = `acs:fc:cn-hangzhou:${account}:services/${svc}/functions/catcher`;
  const file = path.join(dir, 'destination');
  await fc.createFunction(svc, {
    functionName: 'catcher', runtime: 'nodejs16', handler: 'index.handler', environmentVariables: { FILE: file },
    code: { zipFile: zipText(`exports.handler = (e, c, done) => {
      require('fs').writeFileSync(process.env.FILE + '.part', e);
      require('fs').renameSync(process.env.FILE + '.part', process.env.FILE);
      done(null, '');
    }`) },
  });
  const options = { maxAsyncRetryAttempts: 0, statefulInvocation: true, destinationConfig: { onFailure: { destination: arn } } };
  const put = await fc.putFunctionAsyncConfig(svc, 'event', undefined, options);
  assert.equal(put.data.maxAsyncRetryAttempts, 0);
  assert.deepEqual((await fc.getFunctionAsyncConfig(svc, 'event')).data, put.data);
  assert.deepEqual((await fc.listFunctionAsyncConfigs(svc, 'event')).data.configs, [put.data]);

  await fc.invokeFunction(svc, 'event', JSON.stringify({ fail: 'later' }), { 'x-fc-invocation-type': 'Async', 'x-fc-stateful-async-invocation-id': 'job-1' });
  const job = await until('the end of the job', async () => {
    const { data } = await fc.get(`/services/${svc}/functions/event/stateful-async-invocations/job-1`);
    return data.status === 'Failed' && data;
  });
  assert.equal(job.alreadyRetriedTimes, 0);
  await until('the call of the destination', () => existsSync(file));
  const told = JSON.parse(readFileSync(file, 'utf8'));
  assert.equal(told.requestContext.requestId, job.requestId);
  assert.equal(JSON.parse(told.responsePayload).errorMessage, 'later');

  await fc.deleteFunctionAsyncConfig(svc, 'event');
  await refused(fc.getFunctionAsyncConfig(svc, 'event'), 'AsyncConfigNotExists', 404);
});

test('provisioned and on-demand instances are configured by alias', async () => {
  const resource = `services/${svc}.prod/functions/event`;
  const put = await fc.putProvisionConfig(svc, 'event', 'prod', { target: 2 });
  assert.equal(put.data.target, 2);
  const got = (await fc.getProvisionConfig(svc, 'event', 'prod')).data;
  assert.equal(got.current, 2);
  assert.equal(got.resource, `${account}#${svc}#prod#event`);
  assert.deepEqual((await fc.listProvisionConfigs({ serviceName: svc, qualifier: 'prod' })).data.provisionConfigs, [got]);
  await refused(fc.deleteAlias(svc, 'prod'), 'ProvisionConfigExist', 409);
  await refused(fc.putProvisionConfig(svc, 'event', '1', { target: 1 }), 'InvalidArgument', 400);
  await fc.putProvisionConfig(svc, 'event', 'prod', { target: 0 });

  const limit = await fc.putOnDemandConfig(svc, 'event', 'prod', { maximumInstanceCount: 3 });
  assert.deepEqual(limit.data, { resource, maximumInstanceCount: 3 });
  assert.deepEqual((await fc.getOnDemandConfig(svc, 'event', 'prod')).data, limit.data);
  assert.deepEqual((await fc.listOnDemandConfigs({ prefix: `services/${svc}` })).data.configs, [limit.data]);
  await fc.deleteOnDemandConfig(svc, 'event', 'prod');
  await refused(fc.getOnDemandConfig(svc, 'event', 'prod'), 'OnDemandConfigNotFound', 404);
});

test('layers are published, found and deleted', async () => {
  const zipFile = zipFolder('code/event');
  const sizes = [];
  for (const description of ['first', 'second']) {
    const { data } = await fc.publishLayerVersion('e2e-layer', { description, compatibleRuntime: ['nodejs16'], code: { zipFile } });
    sizes.push(data.codeSize);
  }
  assert.equal(sizes[1], Buffer.from(zipFile, 'base64').length);
  const { data } = await fc.getLayerVersion('e2e-layer', 2);
  assert.equal(data.description, 'second');
  assert.deepEqual(data.compatibleRuntime, ['nodejs16']);
  assert.equal((await fc.getLayerVersionByArn(data.arn)).data.version, 2);
  assert.deepEqual((await fc.listLayers({ prefix: 'e2e' })).data.layers.map((l) => l.version), [2]);
  assert.deepEqual((await fc.listLayerVersions('e2e-layer', { startVersion: 1 })).data.layers.map((l) => l.version), [1, 2]);
  await fc.putLayerACL('e2e-layer', { public: 'true' });
  assert.equal((await fc.getLayerVersion('e2e-layer', 2)).data.acl, 1);

  await fc.updateFunction(svc, 'inline', { layers: [data.arn] });
  assert.equal((await fc.getFunction(svc, 'inline')).data.layers.length, 1);
  await fc.updateFunction(svc, 'inline', { layers: [] });
  await fc.deleteLayerVersion('e2e-layer', 1);
  await refused(fc.getLayerVersion('e2e-layer', 1), 'LayerVersionNotFound', 404);
  await fc.deleteLayerVersion('e2e-layer', 2);
  assert.deepEqual((await fc.listLayers()).data.layers, []);
});

test('services carry tags and are found by them', async () => {
  const arn = `services/${svc}`;
  await fc.tagResource(arn, { stage: 'test', team: 'a b' });
  const { data } = await fc.getResourceTags({ resourceArn: arn });
  assert.deepEqual(data.tags, { stage: 'test', team: 'a b' });
  assert.equal(data.resourceArn, `acs:fc:cn-hangzhou:${account}:${arn}`);
  const find = async (tags) => (await fc.listServices({ tags })).data.services.map((s) => s.serviceName);
  assert.deepEqual(await find({ stage: 'test', team: 'a b' }), [svc]);
  assert.deepEqual(await find({ stage: 'prod' }), []);
  await fc.untagResource(arn, ['stage']);
  assert.deepEqual((await fc.getResourceTags({ resourceArn: arn })).data.tags, { team: 'a b' });
  await fc.untagResource(arn, [], true);
  assert.deepEqual((await fc.getResourceTags({ resourceArn: arn })).data.tags, {});
});

test('lists come in pages', async () => {
  const names = Array.from({ length: 7 }, (_, i) => `page-${i}`);
  await Promise.all(names.map((name) => fc.createService(name)));
  const services = await pages((q) => fc.listServices(q), 'services', { prefix: 'page-', limit: 3 });
  assert.deepEqual(services.map((p) => p.map((s) => s.serviceName)), [names.slice(0, 3), names.slice(3, 6), names.slice(6)]);
  const functions = await pages((q) => fc.listFunctions(svc, q), 'functions', { limit: 2 });
  assert.deepEqual(functions.flat().map((f) => f.functionName), ['catcher', 'event', 'inline', 'web']);
  const versions = await pages((q) => fc.listVersions(svc, q), 'versions', { limit: 1 });
  assert.deepEqual(versions.map((p) => p.map((v) => v.versionId)), [['2'], ['1']]);
  await refused(fc.listServices({ limit: 'many' }), 'InvalidArgument', 400);
  await Promise.all(names.map((name) => fc.deleteService(name)));
});

test('errors carry the code and the status', async () => {
  await refused(fc.getService('nobody'), 'ServiceNotFound', 404);
  await refused(fc.getFunction(svc, 'nobody'), 'FunctionNotFound', 404);
  await refused(fc.invokeFunction(svc, 'nobody', ''), 'FunctionNotFound', 404);
  await refused(fc.createService(svc), 'ServiceAlreadyExists', 409);
  await refused(fc.createService('1st'), 'InvalidArgument', 400);
  await refused(fc.createFunction(svc, { functionName: 'f', runtime: 'cobol', handler: 'a.b', code: { zipFile: zipText('') } }), 'InvalidArgument', 400);
  await refused(client({ accessKeySecret: 'wrong' }).getService(svc), 'SignatureNotMatch', 403);
  await refused(client({ accessKeyID: 'stranger' }).getService(svc), 'InvalidAccessKeyID', 403);
  await refused(fc.get('/nothing-here'), 'PathNotSupported', 404);
  await refused(fc.getTempBucketToken(), 'NotSupported', 400);
});

test('the account answers what the client asks of it', async () => {
  assert.ok((await fc.getAccountSettings()).data.availableAZs.length > 0);
  assert.ok((await fc.getAccountConfigs({ config: ['CodeSizeLimit'] })).data.CodeSizeLimit > 0);
  assert.deepEqual((await fc.listReservedCapacities()).data.reservedCapacities, []);
});

test('If-Match keeps a change from overwriting another', async () => {
  const stale = (await fc.getService(svc)).headers.etag;
  const fresh = (await fc.updateService(svc, { description: 'third' }, { 'if-match': stale })).headers.etag;
  await refused(fc.updateService(svc, { description: 'lost' }, { 'if-match': stale }), 'PreconditionFailed', 412);
  assert.equal((await fc.getService(svc)).data.description, 'third');
  await fc.updateService(svc, { description: 'fourth' }, { 'if-match': fresh });

  const { headers } = await fc.getFunction(svc, 'catcher');
  await fc.updateFunction(svc, 'catcher', { description: 'moved on' });
  await refused(fc.deleteFunction(svc, 'catcher', {}, { 'if-match': headers.etag }), 'PreconditionFailed', 412);
  await refused(fc.deleteService(svc, { 'if-match': stale }), 'PreconditionFailed', 412);
});

test('a forged signature changes nothing', async () => {
  const forged = createHash('md5').update('other').digest('base64');
  const answer = await plain('POST', `${endpoint}/2016-08-15/services`, {
    headers: { authorization: 'FC embedded:' + forged, date: new Date().toUTCString() }, body: '{"serviceName":"forged"}',
  });
  assert.equal(answer.status, 403);
  assert.equal(JSON.parse(answer.text).ErrorCode, 'SignatureNotMatch');
  await refused(fc.getService('forged'), 'ServiceNotFound', 404);
});

test('what is deleted is gone, and what is in use stays', async () => {
  await refused(fc.deleteService(svc), 'ServiceNotEmpty', 409);
  await fc.deleteAlias(svc, 'prod');
  await refused(fc.getAlias(svc, 'prod'), 'AliasNotFound', 404);
  for (const version of ['1', '2']) await fc.deleteVersion(svc, version);
  await fc.deleteTrigger(svc, 'web', 'http');
  for (const fn of ['event', 'inline', 'web', 'catcher']) {
    await fc.deleteFunction(svc, fn);
    await refused(fc.getFunction(svc, fn), 'FunctionNotFound', 404);
  }
  await fc.deleteService(svc);
  await refused(fc.getService(svc), 'ServiceNotFound', 404);
  assert.deepEqual((await fc.listServices()).data.services, []);
});
