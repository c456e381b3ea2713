"""Runs one Python function: HTTP/1.1 on descriptor 3, one request at a time.

The requests follow the contract of custom runtimes: the header x-fc-control-path
says what is asked for (/load, /initialize, /invoke, /http-invoke), the x-fc-*
headers carry the context, and the answer's x-fc-status: 404 reports a failure.
What the function prints is its log: descriptors 1 and 2 are not used here.
Python 2.7 and 3.
"""
import fcntl
import importlib
import io
import json
import logging
import os
import socket
import sys
import time
import traceback

try:
    from http.server import BaseHTTPRequestHandler
    from urllib.parse import unquote_to_bytes
except ImportError:  # Python 2
    from BaseHTTPServer import BaseHTTPRequestHandler
    from urllib import unquote as unquote_to_bytes

TEXT = type(u"")
HOP_BY_HOP = frozenset(("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
                        "te", "trailer", "transfer-encoding", "upgrade"))


class Fields(object):
    """A plain object whose fields answer to snake_case and camelCase names."""

    def __init__(self, **fields):
        for name, value in fields.items():
            first, rest = name.split("_")[0], name.split("_")[1:]
            setattr(self, name, value)
            setattr(self, first + "".join(word.capitalize() for word in rest), value)


def number(headers, name):
    try:
        return int(headers.get(name) or 0)
    except ValueError:
        return 0


def make_context(headers):
    def get(name):
        return headers.get("x-fc-" + name) or ""

    return Fields(
        request_id=get("request-id"),
        credentials=Fields(access_key_id=get("access-key-id"), access_key_secret=get("access-key-secret"),
                           security_token=get("security-token")),
        function=Fields(name=get("function-name"), handler=os.environ.get("FC_FUNCTION_HANDLER", ""),
                        memory=number(headers, "x-fc-function-memory"),
                        timeout=number(headers, "x-fc-function-timeout"),
                        initializer=os.environ.get("FC_FUNCTION_INITIALIZER", ""),
                        initialization_timeout=number(headers, "x-fc-initialization-timeout")),
        service=Fields(name=get("service-name"), log_project=get("service-logproject"),
                       log_store=get("service-logstore"), qualifier=get("qualifier"), version_id=get("version-id")),
        region=get("region"),
        account_id=get("account-id"),
        retry_count=number(headers, "x-fc-retry-count"),
        logger=logging.getLogger(),
        tracing=Fields(openTracing_span_context="", openTracing_span_baggages={}, jaeger_endpoint=""),
    )


class LogFormat(logging.Formatter):
    """time requestId [LEVEL] message, as the cloud's Python runtime logs."""

    request_id = ""

    def format(self, record):
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        text = logging.Formatter.format(self, record)
        return "%s.%03dZ %s [%s] %s" % (when, record.msecs, self.request_id, record.levelname, text)


LOG_FORMAT = LogFormat()


class LoadError(Exception):
    def __init__(self, kind, message):
        Exception.__init__(self, message)
        self.kind = kind


FUNCTIONS = {}


def load(name):
    """Returns the callable that a handler such as pkg/file.func names."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    path, dot, function = name.rpartition(".")
    if not dot or not path or not function:
        raise LoadError("InvalidHandlerName", "Handler '%s' is not of the form file.function" % name)
    try:
        module = importlib.import_module(path.strip("/").replace("/", "."))
    except Exception as e:
        traceback.print_exc()
        raise LoadError("ImportModuleError", "Unable to import module '%s': %s" % (path, e))
    found = getattr(module, function, None)
    if not callable(found):
        raise LoadError("HandlerNotFound", "Handler '%s' is missing on module '%s'" % (function, path))
    FUNCTIONS[name] = found
    return found


def encode(value):
    """Text and bytes are the answer as they are, all else is JSON."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if not isinstance(value, TEXT):
        value = json.dumps(value)
    return value if isinstance(value, bytes) else value.encode("utf-8")


def failure(error, trace):
    here = os.path.abspath(__file__)
    frames = [["File \"%s\"" % f[0], "line %d" % f[1], "in %s" % f[2], f[3] or ""]
              for f in traceback.extract_tb(trace) if os.path.abspath(f[0]) != here]
    kind = getattr(error, "kind", "") if isinstance(error, LoadError) else type(error).__name__
    return json.dumps({"errorMessage": str(error), "errorType": kind, "stackTrace": frames}).encode("utf-8")


class Bridge(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def __getattr__(self, name):
        if name.startswith("do_"):  # whatever the method is
            return self.serve
        raise AttributeError(name)

    def log_message(self, *args):
        pass

    def serve(self):
        body = self.rfile.read(number(self.headers, "content-length"))
        LOG_FORMAT.request_id = self.headers.get("x-fc-request-id") or ""
        control = self.headers.get("x-fc-control-path")
        self.started = self.finished = False
        try:
            if control == "/load":
                load(os.environ["FC_FUNCTION_HANDLER"])
                self.answer(b"")
            elif control == "/initialize":
                load(os.environ["FC_FUNCTION_INITIALIZER"])(make_context(self.headers))
                self.answer(b"")
            elif control == "/http-invoke":
                self.run_wsgi(load(os.environ["FC_FUNCTION_HANDLER"]), body)
            else:
                self.answer(encode(load(os.environ["FC_FUNCTION_HANDLER"])(body, make_context(self.headers))))
        except Exception as e:
            self.fail(e, control)

    def fail(self, error, control):
        if not isinstance(error, LoadError):
            traceback.print_exc()
        if self.started:  # too late to say so: cut an answer short that is not complete
            self.close_connection = not self.finished
            return
        status = "502 Bad Gateway" if control == "/http-invoke" else "404 Not Found"
        self.answer(failure(error, sys.exc_info()[2]), status, [("x-fc-status", "404"),
                                                               ("Content-Type", "application/json")])

    def head(self, status, headers):
        lines = ["HTTP/1.1 " + status] + ["%s: %s" % h for h in headers]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a header of the answer has a line end")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.started = True
        self.wfile.write(head)

    def finish_answer(self):
        self.wfile.flush()
        self.finished = True

    def answer(self, body, status="200 OK", headers=()):
        sys.stdout.flush()
        sys.stderr.flush()
        self.head(status, list(headers) + [("Content-Length", str(len(body)))])
        if self.command != "HEAD":
            self.wfile.write(body)
        self.finish_answer()

    def run_wsgi(self, app, body):
        answer = Answer(self)
        result = app(self.environ(body), answer.start)
        try:
            if isinstance(result, (list, tuple)):
                answer.whole(b"".join(result))
                return
            for part in result:
                answer.write(part)
            answer.end()
        finally:
            if hasattr(result, "close"):
                result.close()

    def environ(self, body):
        target = self.requestline.split(" ")[1]
        path, _, query = target.partition("?")
        path = unquote_to_bytes(path)
        base = self.headers.get("x-fc-base-path") or ""
        host, _, port = (self.headers.get("host") or "localhost").partition(":")
        env = {
            "REQUEST_METHOD": self.command, "SCRIPT_NAME": base, "QUERY_STRING": query,
            "PATH_INFO": path if isinstance(path, str) else path.decode("latin-1"),
            "SERVER_NAME": host, "SERVER_PORT": port or "80", "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.headers.get("x-fc-client-ip") or "",
            "wsgi.version": (1, 0), "wsgi.url_scheme": self.headers.get("x-fc-scheme") or "http",
            "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr,
            "wsgi.multithread": False, "wsgi.multiprocess": True, "wsgi.run_once": False,
            "fc.context": make_context(self.headers), "fc.request_uri": base + target,
        }
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            if key.startswith("X_FC_"):
                continue
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = "HTTP_" + key
            joint = "; " if key == "HTTP_COOKIE" else ","
            env[key] = env[key] + joint + value if key in env else value
        return env


class Answer(object):
    """The answer of a WSGI application on its way out."""

    def __init__(self, bridge):
        self.bridge, self.status, self.headers = bridge, None, []

    def start(self, status, headers, exc_info=None):
        if self.status is not None and exc_info is None:
            raise AssertionError("start_response was called twice")
        if exc_info is not None and self.bridge.started:
            raise exc_info[1]
        self.status = status
        self.headers = [(k, v) for k, v in headers
                        if k.lower() not in HOP_BY_HOP and not k.lower().startswith("x-fc-")]
        return self.write

    def bodiless(self):
        return self.bridge.command == "HEAD" or self.status[:3] in ("204", "304") or self.status[:1] == "1"

    def begin(self, framing):
        if self.status is None:
            raise AssertionError("the application did not call start_response")
        sys.stdout.flush()
        headers = self.headers
        if not self.bodiless():
            headers = [h for h in headers if h[0].lower() != "content-length"] + [framing]
        self.bridge.head(self.status, headers)

    def whole(self, body):
        if self.bridge.started:  # write() was used before
            self.write(body)
            self.end()
            return
        self.begin(("Content-Length", str(len(body))))
        if not self.bodiless():
            self.bridge.wfile.write(body)
        self.bridge.finish_answer()

    def write(self, part):
        if not part:
            return
        if not self.bridge.started:
            self.begin(("Transfer-Encoding", "chunked"))
        if not self.bodiless():
            self.bridge.wfile.write(("%x\r\n" % len(part)).encode("ascii") + part + b"\r\n")
            self.bridge.wfile.flush()

    def end(self):
        if not self.bridge.started:
            self.whole(b"")
            return
        if not self.bodiless():
            self.bridge.wfile.write(b"0\r\n\r\n")
        self.bridge.finish_answer()


def main():
    sys.path[0] = os.environ["FC_FUNC_CODE_PATH"]
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(LOG_FORMAT)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    channel = socket.fromfd(3, socket.AF_UNIX, socket.SOCK_STREAM)
    fcntl.fcntl(channel.fileno(), fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    os.close(3)
    code = 0
    try:
        Bridge(channel, ("localhost", 0), None)
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else (0 if e.code is None else 1)
        if code == 1 and not isinstance(e.code, int):
            sys.stderr.write("%s\n" % (e.code,))
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads of the function do not keep the instance


main()
