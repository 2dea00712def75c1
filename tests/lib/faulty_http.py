"""A way to an HTTP server on which some requests fail: refused with a status, answered to nobody, cut off in
the middle."""

import http.client
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Of the connection, and not of the message.
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-authorization"}


class Fault:
    """what: a status, "lost" (done, and nobody hears of it), "half" (the connection ends within the body), or a
    pair ("done", status): done, and refused all the same. Every nth request that it is about, so many times."""

    def __init__(self, about, what, every=2, times=1):
        self.about, self.what, self.every, self.left = about, what, every, times
        self.seen = self.injected = 0

    def is_due(self, method, path):
        if not self.left or not self.about(method, path):
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.left -= 1
        self.injected += 1
        return True


class Proxy:
    """certificate: of the way to it, a file that has its key too."""

    def __init__(self, port, certificate=None):
        self.upstream, self.faults, self.lock, self.seen = port, [], threading.Lock(), []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"proxy": self}))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def fault(self, about, what, **how):
        made = Fault(about, what, **how)
        self.faults.append(made)
        return made

    def due(self, method, path):
        with self.lock:
            return next((fault.what for fault in self.faults if fault.is_due(method, path)), None)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy = None

    def log_message(self, *_):
        pass

    def cut(self):
        self.close_connection = True

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what = self.proxy.due(self.command, self.path)
        self.proxy.seen.append((self.command, self.path, self.headers.get("Authorization")))
        if isinstance(what, int):
            self.answer(what, [("Content-Type", "application/json")],
                        b'{"error": {"message": "on purpose", "type": "Injected", "code": %d}}' % what)
            return
        if what == "half":
            self.forward(body, half=True)
            self.cut()
            return
        status, headers, text = self.forward(body)
        if what == "lost":
            self.cut()
        elif isinstance(what, tuple):
            self.answer(what[1], [], b"")
        else:
            self.answer(status, headers, text)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one

    def forward(self, body, half=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.upstream, timeout=30)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP:
                    connection.putheader(name, value)
            connection.endheaders()
            if half:
                connection.send(body[:len(body) // 2])
                return None
            connection.send(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def answer(self, status, headers, text):
        self.send_response_only(status)
        kept = [(name, value) for name, value in headers if name.lower() not in HOP]
        for name, value in kept:
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)
