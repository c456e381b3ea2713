"""GetCallerIdentity of STS for the account of the embedded cloud, which has no STS: pipelines
that give no AccountID ask it. Arguments: account, access key id, access key secret, and the
file to which the address is written."""

import base64
import hashlib
import hmac
import http.server
import json
import sys
from urllib.parse import parse_qsl, quote, urlsplit

account, key_id, key_secret, address = sys.argv[1:]


def signature(params):
    canonical = "&".join(quote(k, safe="~") + "=" + quote(v, safe="~") for k, v in sorted(params.items()))
    text = "POST&%2F&" + quote(canonical, safe="~")
    return base64.b64encode(hmac.new((key_secret + "&").encode(), text.encode(), hashlib.sha1).digest()).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        params = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        signed = params.pop("Signature", "")
        known = params.get("AccessKeyId") == key_id and hmac.compare_digest(signed, signature(params))
        body = {"AccountId": account, "RequestId": "1"} if known else {"Code": "SignatureDoesNotMatch", "Message": "not signed with this key"}
        data = json.dumps(body).encode()
        self.send_response(200 if known else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(address, "w") as f:
    f.write("http://127.0.0.1:%d\n" % server.server_port)
server.serve_forever()
