package runner

import "testing"

const wsgi = `
import json, sys
from os import getpid
def handler(environ, start_response):
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read()
    if path == "/raise": raise KeyError("oops")
    if path == "/half":
        start_response("200 OK", [])
        def parts():
            yield b"first"
            raise KeyError("oops")
        return parts()
    if path == "/exit": sys.exit(3)
    if path == "/sleep":
        import time; time.sleep(60)
    if path == "/sleep-late":
        def parts():
            import time
            yield b"first"
            time.sleep(60)
        start_response("200 OK", [])
        return parts()
    if path == "/nostart": return [b"x"]
    if path == "/split":
        start_response("200 OK", [("X-A", "1\r\nX-B: 2")])
        return [b"x"]
    if path == "/late-error":
        class Late(list):
            def close(self): raise KeyError("after the answer")
        start_response("200 OK", [])
        return Late([b"fine"])
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    if path == "/write":
        write = start_response("201 Created", [("Content-Length", "999")])
        write(b"a"); write(b"b")
        return [b"c"]
    if path == "/huge":
        start_response("200 OK", [])
        return (b"x" * 1048576 for _ in range(33))
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return (bytes(bytearray([i])) * 65536 for i in range(64))
    if path == "/pid":
        start_response("200 OK", [])
        return [str(getpid()).encode()]
    if path == "/echo":
        start_response("200 OK", [("Content-Type", environ.get("CONTENT_TYPE", "")), ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"), ("Connection", "close"), ("Keep-Alive", "x"), ("X-Fc-Status", "404"), ("X-Own", "yes")])
        return [body]
    keep = {k: v for k, v in environ.items() if isinstance(v, (str, bool, tuple))}
    keep["context"] = environ["fc.context"].function.name
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "5")])
    return [json.dumps(keep).encode()]
`

const nodeHTTP = `
const {Readable} = require('stream');
exports.handler = (req, resp, context) => {
  const path = decodeURIComponent(req.path);
  if (path === '/raise') throw new RangeError('oops');
  if (path === '/reject') return Promise.reject(new RangeError('oops'));
  if (path === '/half') { resp.write('first'); setTimeout(() => resp.destroy(), 20); return; }
  if (path === '/exit') process.exit(3);
  if (path === '/sleep') return;
  if (path === '/sleep-late') { resp.write('first'); return; }
  if (path === '/empty') { resp.setStatusCode(204); return resp.send(''); }
  if (path === '/huge') {
    let n = 0;
    return resp.send(new Readable({read() { this.push(n++ < 33 ? Buffer.alloc(1048576, 'x') : null); }}));
  }
  if (path === '/stream') {
    let i = 0;
    resp.setHeader('Content-Type', 'application/octet-stream');
    return resp.send(new Readable({read() { this.push(i < 64 ? Buffer.alloc(65536, i++) : null); }}));
  }
  if (path === '/late-error') { resp.send('fine'); throw new Error('after the answer'); }
  if (path === '/close') { resp.writeHead(200, {Connection: 'close'}); return resp.end('bye'); }
  if (path === '/pid') return resp.send(String(process.pid));
  if (path === '/text') { resp.setStatusCode(201); resp.setHeader('X-Gone', '1'); resp.deleteHeader('X-Gone'); return resp.send('héllo'); }
  if (path === '/echo') {
    const parts = [];
    req.on('data', (part) => parts.push(part));
    req.on('end', () => {
      resp.setHeader('Content-Type', req.headers['content-type'] || '');
      resp.setHeader('Set-Cookie', ['a=1', 'b=2']);
      resp.setHeader('Connection', 'close');
      resp.setHeader('Keep-Alive', 'x');
      resp.setHeader('X-Fc-Status', '404');
      resp.setHeader('X-Own', 'yes');
      if (Buffer.compare(Buffer.concat(parts), req.body) !== 0) throw new Error('req.body differs');
      resp.send(Buffer.concat(parts));
    });
    return;
  }
  resp.setHeader('Content-Type', 'application/json');
  resp.send(JSON.stringify({path: req.path, url: req.url, method: req.method, queries: req.queries,
    clientIP: req.clientIP, headers: req.headers, context: context.function.name}));
};`

func httpFunctions(t *testing.T) map[string]Function {
	return map[string]Function{"python": pythonFunction(t, wsgi), "node": nodeFunction(t, nodeHTTP)}
}
