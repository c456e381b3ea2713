// Runs one Node.js function: HTTP/1.1 on descriptor 3, one request at a time.
//
// The requests follow the contract of custom runtimes: the header
// x-fc-control-path says what is asked for (/load, /initialize, /invoke,
// /http-invoke), the x-fc-* headers carry the context, and the answer's
// x-fc-status: 404 reports a failure. What the function prints is its log.
'use strict';
const fs = require('fs');
const http = require('http');
const net = require('net');
const path = require('path');
const url = require('url');
const util = require('util');

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization',
  'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'content-length']);
const LEVELS = {debug: 'DEBUG', log: 'VERBOSE', info: 'INFO', warn: 'WARN', error: 'ERROR'};
const codeDir = process.env.FC_FUNC_CODE_PATH;
const functions = new Map();
let requestId = '';

// Console output carries time, request and level, as in the cloud.
for (const [method, level] of Object.entries(LEVELS)) {
  const stream = level === 'ERROR' || level === 'WARN' ? process.stderr : process.stdout;
  console[method] = (...args) => {
    stream.write(`${new Date().toISOString()} ${requestId} [${level}] ${util.format(...args)}\n`);
  };
}

function makeContext(headers) {
  const get = (name) => headers['x-fc-' + name] || '';
  return {
    requestId: get('request-id'),
    credentials: {
      accessKeyId: get('access-key-id'), accessKeySecret: get('access-key-secret'),
      securityToken: get('security-token'),
    },
    function: {
      name: get('function-name'), handler: process.env.FC_FUNCTION_HANDLER || '',
      memory: Number(get('function-memory')), timeout: Number(get('function-timeout')),
      initializer: process.env.FC_FUNCTION_INITIALIZER || '',
      initializationTimeout: Number(get('initialization-timeout')),
    },
    service: {
      name: get('service-name'), logProject: get('service-logproject'), logStore: get('service-logstore'),
      qualifier: get('qualifier'), versionId: get('version-id'),
    },
    region: get('region'),
    accountId: get('account-id'),
    retryCount: Number(get('retry-count')),
    logger: console,
    tracing: {openTracingSpanContext: '', openTracingSpanBaggages: {}, jaegerEndpoint: ''},
  };
}

class LoadError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

async function importModule(name) {
  const stem = path.resolve(codeDir, name);
  const file = ['.js', '.mjs', '.cjs', ''].map((ext) => stem + ext)
    .find((f) => fs.existsSync(f) && fs.statSync(f).isFile());
  if (file === undefined && !fs.existsSync(stem)) {
    throw new LoadError('ImportModuleError', `Unable to import module '${name}': no ${name}.js, .mjs or .cjs in the code`);
  }
  if (file === undefined || !file.endsWith('.mjs')) {
    try {
      return require(file || stem);
    } catch (e) {
      if (e.code !== 'ERR_REQUIRE_ESM' && e.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw e;
    }
  }
  return import(url.pathToFileURL(file).href);
}

async function load(name) {
  if (functions.has(name)) return functions.get(name);
  const dot = name.lastIndexOf('.');
  if (dot <= 0 || dot === name.length - 1) {
    throw new LoadError('InvalidHandlerName', `Handler '${name}' is not of the form file.function`);
  }
  const [file, member] = [name.slice(0, dot), name.slice(dot + 1)];
  let found = await importModule(file);
  if (found && typeof found[member] !== 'function' && found.default) found = found.default;
  if (!found || typeof found[member] !== 'function') {
    throw new LoadError('HandlerNotFound', `Handler '${member}' is missing on module '${file}'`);
  }
  functions.set(name, found[member].bind(found));
  return functions.get(name);
}

// Resolves with what the function passes to its callback or its promise yields.
function run(fn, ...args) {
  return new Promise((resolve, reject) => {
    const callback = (err, data) => (err === null || err === undefined ? resolve(data) : reject(err));
    const returned = fn(...args, callback);
    if (returned && typeof returned.then === 'function') returned.then(resolve, reject);
  });
}

function encode(value) {
  if (value === undefined) return Buffer.alloc(0);
  if (Buffer.isBuffer(value)) return value;
  if (value instanceof Uint8Array) return Buffer.from(value);
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
}

function failure(err) {
  const isError = err instanceof Error || (err && typeof err.stack === 'string');
  if (!isError) return JSON.stringify({errorMessage: typeof err === 'string' ? err : util.inspect(err)});
  const stackTrace = String(err.stack).split('\n').filter((line) => !line.includes(__filename));
  return JSON.stringify({errorMessage: err.message, errorType: err.name, stackTrace});
}

function answer(res, status, headers, body) {
  res.writeHead(status, Object.assign({'Content-Length': Buffer.byteLength(body)}, headers));
  res.end(body);
}

// The request as handlers know it: a stream with the cloud's extra fields.
function makeRequest(msg, body) {
  const req = new http.IncomingMessage(msg.socket);
  const target = url.parse(msg.url, true);
  const raw = msg.rawHeaders;
  for (let i = 0; i < raw.length; i += 2) {
    if (!raw[i].toLowerCase().startsWith('x-fc-')) req.rawHeaders.push(raw[i], raw[i + 1]);
  }
  const headers = {};
  for (const [name, value] of Object.entries(msg.headers)) {
    if (!name.startsWith('x-fc-')) headers[name] = value;
  }
  Object.defineProperty(req, 'headers', {value: headers, writable: true, configurable: true, enumerable: true});
  Object.assign(req, {
    httpVersion: msg.httpVersion, httpVersionMajor: msg.httpVersionMajor, httpVersionMinor: msg.httpVersionMinor,
    method: msg.method, url: (msg.headers['x-fc-base-path'] || '') + msg.url, path: target.pathname,
    queries: Object.assign({}, target.query), clientIP: msg.headers['x-fc-client-ip'] || '', body, complete: true,
  });
  if (body.length > 0) req.push(body);
  req.push(null);
  return req;
}

// The response's extra methods stand on its prototype, where a framework's own
// methods of the same names replace them.
function extendResponse(res) {
  const native = Object.getPrototypeOf(res);
  const setHeader = (name, value) => native.setHeader.call(res, name, value);
  Object.setPrototypeOf(res, Object.assign(Object.create(native), {
    setStatusCode(code) { res.statusCode = code; },
    setHeader(name, value) {
      const lower = String(name).toLowerCase();
      const length = lower === 'content-length' && res.req && res.req.method === 'HEAD';
      if (length || !(HOP_BY_HOP.has(lower) || lower.startsWith('x-fc-'))) setHeader(name, value);
      return res;
    },
    deleteHeader(name) { res.removeHeader(name); },
    send(body) {
      if (body && typeof body.pipe === 'function') {
        body.on('error', (err) => fail(res, err, 502));
        body.pipe(res);
        return;
      }
      const bytes = encode(body);
      if (res.req && res.req.method !== 'HEAD' && res.statusCode !== 204 && res.statusCode !== 304) {
        setHeader('Content-Length', bytes.length);
      }
      res.end(bytes);
    },
  }));
  return res;
}

function fail(res, err, status) {
  if (!(err instanceof LoadError)) process.stderr.write(`${err && err.stack ? err.stack : util.inspect(err)}\n`);
  if (res.headersSent) { // too late to say so: cut an answer short that is not complete
    if (!res.writableEnded) res.destroy();
    return;
  }
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  answer(res, status, {'x-fc-status': '404', 'Content-Type': 'application/json'}, failure(err));
}

async function serve(msg, res) {
  const parts = [];
  for await (const part of msg) parts.push(part);
  const body = Buffer.concat(parts);
  const context = makeContext(msg.headers);
  const control = msg.headers['x-fc-control-path'];
  requestId = context.requestId;
  try {
    if (control === '/load') {
      await load(process.env.FC_FUNCTION_HANDLER);
      answer(res, 200, {}, '');
    } else if (control === '/initialize') {
      await run(await load(process.env.FC_FUNCTION_INITIALIZER), context);
      answer(res, 200, {}, '');
    } else if (control === '/http-invoke') {
      const handler = await load(process.env.FC_FUNCTION_HANDLER);
      await handler(makeRequest(msg, body), extendResponse(res), context);
    } else {
      answer(res, 200, {}, encode(await run(await load(process.env.FC_FUNCTION_HANDLER), body, context)));
    }
  } catch (err) {
    fail(res, err, control === '/http-invoke' ? 502 : 404);
  }
}

const server = http.createServer({maxHeaderSize: 1 << 17}, serve);
server.keepAliveTimeout = server.headersTimeout = server.requestTimeout = server.timeout = 0;
const channel = new net.Socket({fd: 3, readable: true, writable: true});
channel.on('close', () => process.exit(0));
server.emit('connection', channel);
