// What the tests of the client share.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import FC from '@alicloud/fc2';

export const endpoint = process.env.CLOUD_URL;
export const account = '1000000000000000';
const here = path.dirname(fileURLToPath(import.meta.url));
const keys = { accessKeyID: 'embedded', accessKeySecret: 'embedded-cloud-secret', region: 'cn-hangzhou' };

// client makes the official client; over changes its configuration.
export const client = (over = {}) => new FC(account, { endpoint, timeout: 30000, ...keys, ...over });

// zipFolder packs a folder beside this file and returns it in Base64.
export function zipFolder(folder) {
  const dir = mkdtempSync(path.join(tmpdir(), 'devs-e2e-'));
  try {
    const out = path.join(dir, 'code.zip');
    execFileSync('python3', ['-m', 'zipfile', '-c', out, path.join(here, folder) + '/.']);
    return readFileSync(out).toString('base64');
  } finally {
    rmSync(dir, { recursive: true });
  }
}

// zipText packs one file index.js and returns it in Base64.
export function zipText(text) {
  const dir = mkdtempSync(path.join(tmpdir(), 'devs-e2e-'));
  try {
    writeFileSync(path.join(dir, 'index.js'), text);
    const out = path.join(dir, 'code.zip');
    execFileSync('python3', ['-m', 'zipfile', '-c', out, path.join(dir, 'index.js')]);
    return readFileSync(out).toString('base64');
  } finally {
    rmSync(dir, { recursive: true });
  }
}

// refused waits for an error of the cloud, with its code and HTTP status.
export async function refused(promise, code, status) {
  await assert.rejects(promise, (err) => {
    assert.equal(err.code, code, err.message);
    assert.equal(err.name, `FC${code}Error`);
    assert.match(err.message, new RegExp(`failed with ${status}\\. requestid: [^,]{8,}, message: [^.]`));
    assert.doesNotMatch(err.message, /message: undefined/);
    return true;
  });
}

// pages reads a list page by page and returns the pages.
export async function pages(list, member, query) {
  const found = [];
  let nextToken;
  do {
    const { data } = await list({ ...query, ...(nextToken ? { nextToken } : {}) });
    found.push(data[member]);
    nextToken = data.nextToken;
    assert.ok(found.length < 50, 'the list has no end');
  } while (nextToken);
  return found;
}

// plain sends a request that is not signed, with a Host header if one is given.
export function plain(method, address, { host, headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(address, { method, agent: false, headers: { ...headers, ...(host ? { host } : {}) } }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

// until asks again until the answer is there.
export async function until(what, ask) {
  for (let i = 0; i < 200; i++) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${what} did not happen`);
}
