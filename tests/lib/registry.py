"""A schema registry for the tests: Confluent's API for what a Schemas (lib/avro.py) holds, and the
ways in which it can fail."""

import base64
import json
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        registry = self.server.registry
        registry.asked.append(self.path)
        if registry.delay_s:
            time.sleep(registry.delay_s)
        if registry.status:
            return self.answer(registry.status, {"error_code": 50001, "message": "broken"})
        wanted = registry.authorization
        if wanted and self.headers.get("Authorization") != wanted:
            return self.answer(401, {"error_code": 40101, "message": "no"})
        found = registry.find(unquote(self.path))
        if found is None:
            return self.answer(404, {"error_code": 40403, "message": "Schema not found"})
        return self.answer(200, found)

    def do_POST(self):
        """A schema is registered, or looked for."""
        registry = self.server.registry
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = self.path.strip("/").split("/")
        subject, versions = unquote(parts[1]), len(parts) > 2
        registry.told.append((subject, versions))
        if registry.delay_s:
            time.sleep(registry.delay_s)
        refusal = registry.refusals.get(subject) or registry.refuses(subject, body["schema"]) or \
            (registry.status and (registry.status, 50001))
        wanted = registry.authorization
        if wanted and self.headers.get("Authorization") != wanted:
            refusal = 401, 40101
        if refusal:
            status, code = refusal
            return self.answer(status, {"error_code": code, "message": "not\nthis one"})
        known = registry.subjects.setdefault(subject, [])
        if not versions and body["schema"] not in known:
            return self.answer(404, {"error_code": 40403, "message": "Schema not found"})
        if body["schema"] not in known:
            known.append(body["schema"])
        number = registry.schemas.add(body["schema"])
        if not registry.answers(subject):
            return None
        return self.answer(200, {"id": number})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Who has asked may be gone."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Registry:
    """`status`: answer this instead; `delay_s`: after this time; `authorization`: what is asked.
    `refusals`: (status, code) by subject, of schemas that come; `refuses`: a function of subject and schema
    that answers the same; `answers`: a function of the subject, of whose schema the registry has taken note,
    that is False where nobody is to hear of it; `subjects`: those that it has, by name; `told`: (subject, was
    it to be registered) of each that came."""

    def __init__(self, schemas, port=0, certificate=None):
        self.schemas = schemas
        self.status, self.delay_s, self.authorization = 0, 0, None
        self.asked, self.told = [], []
        self.refusals, self.subjects = {}, {}
        self.refuses = lambda subject, schema: None
        self.answers = lambda subject: True
        self.certificate = certificate
        self.port = port
        self.server = None
        self.start()

    def start(self):
        """Again after stop(), at the same address."""
        if self.server:
            return
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.registry = self
        self.port = self.server.server_address[1]
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def url(self):
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    def find(self, path):
        by_id = self.schemas.by_id
        parts = path.strip("/").split("/")
        if parts == ["subjects"]:
            return [f"subject-{key}" for key in by_id]
        if parts[:2] == ["schemas", "ids"] and len(parts) == 3:
            return by_id.get(int(parts[2]))
        if parts[:2] == ["schemas", "ids"] and parts[3:] == ["versions"] and int(parts[2]) in by_id:
            subject = by_id[int(parts[2])].get("subject")
            return [{"subject": subject, "version": 1}] if subject else None
        if parts[0] == "subjects" and len(parts) == 4:
            for entry in by_id.values():
                if entry.get("subject") == parts[1] and entry.get("version") == int(parts[3]):
                    return entry
        return None


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def certificate(folder, name="127.0.0.1", file="server.pem"):
    """A key and a certificate of its own in one file."""
    path = folder / file
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{name}" if
                    name[0].isdigit() else f"subjectAltName=DNS:{name}", "-keyout", path, "-out",
                    folder / f"{file}.crt"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (folder / f"{file}.crt").read_bytes())
    return path
