"""A broker and a PostgreSQL server that want encryption and passwords, with certificates of their
own, beside the stack that every other test shares."""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg2
from confluent_kafka.admin import AdminClient

from lib.kafka import kafka_java
from lib.sink import free_port
from lib.waiting import wait_for

USER, PASSWORD = "app", "s3cret-of-app"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout


class Certificates:
    """An authority, servers that it vouches for, and a stranger's authority."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.authority("ca")
        self.authority("stranger")
        self.certificate("server", "ca", "IP:127.0.0.1,DNS:localhost")
        self.certificate("elsewhere", "ca", "DNS:elsewhere.test")
        self.certificate("client", "ca", "DNS:client.test")

    def path(self, name):
        return self.folder / name

    def authority(self, name):
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            f"/CN={name}", "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.crt"))

    def certificate(self, name, authority, names):
        request, extension = self.path(f"{name}.csr"), self.path(f"{name}.ext")
        extension.write_text(f"subjectAltName={names}\n")
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout",
            self.path(f"{name}.key"), "-out", request)
        run("openssl", "x509", "-req", "-in", request, "-CA", self.path(f"{authority}.crt"),
            "-CAkey", self.path(f"{authority}.key"), "-CAcreateserial", "-days", "2", "-extfile",
            extension, "-out", self.path(f"{name}.crt"))
        pem = self.path(f"{name}.key").read_text() + self.path(f"{name}.crt").read_text()
        self.path(f"{name}.pem").write_text(pem)


class SecureKafka:
    """Listeners: TLS with client certificates, SASL over TLS, TLS under another host's name, and a
    plain one for the test itself, who may do all; others may do what no ACL speaks of. Topics are
    not made by asking for them."""

    def __init__(self, certificates, stack):
        self.folder = Path(tempfile.mkdtemp(prefix="ods-secure-kafka-"))
        self.ports = {name: free_port() for name in
                      ("plain", "tls", "sasl", "elsewhere", "controller")}
        self.bootstrap = f"127.0.0.1:{self.ports['plain']}"
        self.java = kafka_java(stack, "384m", f"-Dlog4j.configuration=file:{self.folder}/log4j.properties")
        (self.folder / "log4j.properties").write_text(
            "log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n"
            "log4j.appender.out.layout=org.apache.log4j.PatternLayout\n")
        conf = self.folder / "kafka.properties"
        conf.write_text(self._settings(certificates))
        scram = [word for mechanism in MECHANISMS[1:] for word in
                 ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")]
        run(*self.java, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c",
            conf, *scram)
        self.log = open(self.folder / "kafka.log", "wb")
        self.process = subprocess.Popen([*self.java, "kafka.Kafka", str(conf)], stdout=self.log,
                                        stderr=subprocess.STDOUT)
        wait_for(self._answers, 90, "the secured broker", interval_s=0.3)

    def _settings(self, certificates):
        listeners = ",".join(f"{name.upper()}://127.0.0.1:{port}"
                             for name, port in self.ports.items())
        login = "org.apache.kafka.common.security"
        scram = "".join(f"listener.name.sasl.{mechanism.lower()}.sasl.jaas.config={login}.scram."
                        "ScramLoginModule required;\n" for mechanism in MECHANISMS[1:])
        return f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{self.ports['controller']}
controller.listener.names=CONTROLLER
listeners={listeners}
advertised.listeners={listeners.rsplit(',', 1)[0]}
listener.security.protocol.map=PLAIN:PLAINTEXT,TLS:SSL,SASL:SASL_SSL,ELSEWHERE:SSL,\
CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAIN
log.dirs={self.folder}/data
auto.create.topics.enable=false
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
ssl.keystore.type=PEM
ssl.keystore.location={certificates.path('server.pem')}
ssl.truststore.type=PEM
ssl.truststore.location={certificates.path('ca.crt')}
listener.name.tls.ssl.client.auth=required
listener.name.elsewhere.ssl.keystore.type=PEM
listener.name.elsewhere.ssl.keystore.location={certificates.path('elsewhere.pem')}
listener.name.sasl.sasl.enabled.mechanisms={','.join(MECHANISMS)},OAUTHBEARER
listener.name.sasl.oauthbearer.sasl.jaas.config={login}.oauthbearer.OAuthBearerLoginModule required;
listener.name.sasl.plain.sasl.jaas.config={login}.plain.PlainLoginModule required \
user_{USER}="{PASSWORD}";
{scram}"""

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "kafka.log").read_text()[-3000:]
        try:
            return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}) \
                .list_topics(timeout=1).brokers
        except Exception:  # not yet
            return False

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class SecurePostgres:
    """TLS only, SCRAM only."""

    def __init__(self, certificates, programs):
        self.folder = Path(tempfile.mkdtemp(prefix="ods-secure-postgres-"))
        self.port = free_port()
        data = self.folder / "data"
        as_owner = []
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            as_owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        run(*as_owner, f"{programs}/initdb", "-D", data, "-U", USER, "--auth=scram-sha-256",
            f"--pwfile={password}", "--no-sync", cwd="/")
        for source, name in (("server.key", "server.key"), ("server.crt", "server.crt")):
            shutil.copy(certificates.path(source), data / name)
            (data / name).chmod(0o600)
            if as_owner:
                shutil.chown(data / name, "postgres", "postgres")
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        self.log = open(self.folder / "postgres.log", "wb")
        self.process = subprocess.Popen(
            [*as_owner, f"{programs}/postgres", "-D", str(data), "-p", str(self.port), "-c",
             "listen_addresses=127.0.0.1", "-c", "ssl=on", "-c", "unix_socket_directories="],
            stdout=self.log, stderr=subprocess.STDOUT, cwd="/")
        self.authority = certificates.path("ca.crt")
        wait_for(self._answers, 60, "the secured PostgreSQL", interval_s=0.2)

    def connect(self):
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, dbname="postgres", user=USER, password=PASSWORD,
            sslmode="verify-full", sslrootcert=str(self.authority), connect_timeout=5)
        connection.autocommit = True
        return connection

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "postgres.log").read_text()[-3000:]
        try:
            self.connect().close()
            return True
        except psycopg2.OperationalError:
            return False

    def close(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


TOKEN_LIFE_S = 5


def part(content):
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def token():
    """One that the broker takes without a signature, as it does unless told otherwise."""
    now = int(time.time())
    return f"{part({'alg': 'none'})}.{part({'sub': 'app', 'iat': now, 'exp': now + TOKEN_LIFE_S})}."


class Login(ThreadingHTTPServer):
    """Gives tokens to who knows the secret."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.given = self.refused = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/token"


class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        wanted = base64.b64encode(f"ods-sink:{PASSWORD}".encode()).decode()
        good = self.headers["Authorization"] == f"Basic {wanted}"
        self.server.given += good
        self.server.refused += not good
        body = json.dumps({"access_token": token(), "token_type": "Bearer", "expires_in": TOKEN_LIFE_S}
                          if good else {"error": "invalid_client"}).encode()
        self.send_response(200 if good else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
