"""An HTTP server that keeps what it is sent, and answers as a test tells it to."""

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def common_name(connection):
    """Of the certificate that the client has shown; None: it has shown none."""
    shown = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    return next((value for part in (shown or {}).get("subject", ()) for name, value in part
                 if name == "commonName"), None)


class Request:
    def __init__(self, handler, body):
        self.method, self.path, self.body = handler.command, handler.path, body
        self.headers = dict(handler.headers.items())
        self.began, self.ended, self.status = time.monotonic(), None, None
        self.peer = common_name(handler.connection)

    def json(self):
        return json.loads(self.body)

    @property
    def identity(self):
        return self.headers["Idempotency-Key"]


class Endpoint:
    """answer(request) gives a status, or (status, headers, body), or None: the request is taken and its
    connection ends without an answer. A test may replace it."""

    def __init__(self, tls=None):
        self.requests, self.answer = [], lambda request: 200
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:  # the connection has ended in the middle of it
                    self.close_connection = True
                    return
                request = Request(self, body)
                with endpoint._lock:
                    endpoint.requests.append(request)
                answer = endpoint.answer(request)
                if answer is None:
                    request.ended, request.status = time.monotonic(), 200
                    self.close_connection = True
                    return
                status, headers, body = answer if isinstance(answer, tuple) else (answer, {}, b"")
                request.ended, request.status = time.monotonic(), status
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_PUT = do_DELETE = do_PATCH = do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # a client that went away

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def taken(self):
        """What was taken, and answered with success if the answer could be sent, in the order of arrival."""
        return [request for request in self.requests if request.status and request.status < 300]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def tls_of(certificates, client_authority=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # no session is resumed: each connection is shown the certificate of then
    context.options |= ssl.OP_NO_TICKET
    context.load_cert_chain(certificates.path("server.crt"), certificates.path("server.key"))
    if client_authority:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates.path(f"{client_authority}.crt"))
    return context
