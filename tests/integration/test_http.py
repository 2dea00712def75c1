"""Who may ask the daemon what: TLS, the token, health beside it; and the schema of /status."""

import base64
import copy
import json
import re
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path

import jsonschema
import pytest
from lib.records import pipeline, row
from lib.secure import Certificates
from lib.sink import Exit, free_port

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "status.schema.json").read_text())
TOKEN = "a-token-that-nobody-guesses"


def closed(schema):
    """The same schema, in which nothing may be that it does not describe."""
    schema = copy.deepcopy(schema)

    def close(part):
        if isinstance(part, dict):
            if "properties" in part:
                part["additionalProperties"] = False
            for value in part.values():
                close(value)
    close(schema)
    return schema


def assert_described(daemon, headers=None):
    status = json.loads(daemon.get("/status")[1])
    jsonschema.validate(status, SCHEMA)
    jsonschema.validate(status, closed(SCHEMA))
    assert status["schema"] == 1
    return status


def ask(url, authority=None, authorization=None, certificate=None):
    """certificate: a path of both it and its key."""
    context = ssl.create_default_context(cafile=authority) if authority else None
    if certificate:
        context.load_cert_chain(certificate)
    handlers = [urllib.request.ProxyHandler({})]
    if context:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(url)
    if authorization:
        request.add_header("Authorization", authorization)
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def basic(password):
    return "Basic " + base64.b64encode(f"who:{password}".encode()).decode()


def test_what_status_says_is_described(sink, database, kafka, table):
    """In several states: at work, with a dead letter, held, and the target away."""
    sink.write(pipeline(table), database=database, kafka=True,
               dead_letter={"table": "letters"}, lanes=2)
    kafka.produce([table.create(row(1)), table.record(table.create(row(2))["key"], "no JSON")])
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 1)
    daemon.await_that(lambda: assert_described(daemon)["lanes"][0]["recent"] or
                      assert_described(daemon)["lanes"][1]["recent"])
    sink.run("pause", "-c", sink.conf, "items", "--reason", "a test")
    daemon.await_that(lambda: assert_described(daemon)["paused"])
    daemon.await_that(lambda: [(one["table"], one["topic"], one["state"], one["changes"]) for one in
                               assert_described(daemon)["tables"]] == [("shop.items", table.topic, "paused", 1)],
                      what=lambda: daemon.get("/status")[1])
    assert assert_described(daemon)["tables_total"] == 1
    assert assert_described(daemon)["configuration"] == str(Path(sink.conf).resolve())
    daemon.stop()
    away = [{"name": "ods", "type": "postgres",
             "dsn": f"host=127.0.0.1 port={free_port()} dbname=nowhere connect_timeout=1"}]
    sink.write(pipeline(table), targets=away, kafka=True)
    daemon = sink.daemon()
    daemon.await_that(lambda: daemon.get("/readyz")[0] == 503)
    daemon.await_that(lambda: "waits for its target" in daemon.get("/readyz")[1])
    assert assert_described(daemon)["pipelines"][0]["level"] != "good"
    daemon.kill()


def test_how_complete_a_table_is_and_how_far_a_snapshot(sink, database, kafka, table):
    """As ods_sink.freshness has it; a snapshot's rows while they come, and how long yet."""
    sink.write(pipeline(table), database=database, kafka=True, lanes=1, batch={"max_events": 20})
    kafka.produce([table.read(row(number)) for number in range(2000)])
    daemon = sink.daemon().await_ready()

    def shown():
        [one] = assert_described(daemon)["tables"]
        return one

    daemon.await_that(lambda: assert_described(daemon)["tables"] and shown()["snapshot_rows"], what="a snapshot")
    assert shown()["complete_to"] is None, "rows of a snapshot tell nothing"
    assert "snapshot: " in sink.run("status", "-c", sink.conf, "--tables").stdout
    daemon.await_that(lambda: database.count("items") == 2000, what="its rows")
    moment = table._clock_ms + 1_000_000
    kafka.produce([table.create(row(5000), ts_ms=moment)])
    daemon.await_that(lambda: shown()["complete_to"], 30, what=lambda: str(shown()))
    known = database.value("select extract(epoch from complete_to) from ods_sink.freshness where table_name = 'items'")
    assert shown()["complete_to"] == pytest.approx(float(known), abs=1e-5) == moment / 1000
    daemon.await_that(lambda: shown()["lag_records"] == 0 and shown()["seconds_left"] == 0, what=lambda: str(shown()))
    daemon.await_that(lambda: shown()["snapshot_rows"] is None, 40, what="its end")
    daemon.stop()


def test_tls_and_token(sink, database, kafka, table, tmp_path):
    certificates = Certificates(tmp_path)
    health = free_port()
    certificate, key, authority = (certificates.path(name) for name in
                                   ("server.crt", "server.key", "ca.crt"))
    away = [{"name": "ods", "type": "postgres",
             "dsn": f"host=127.0.0.1 port={free_port()} dbname=nowhere connect_timeout=1"}]
    sink.write(pipeline(table), targets=away, kafka=True,
               http={"certificate": str(certificate), "key": str(key), "token": TOKEN,
                     "health_listen": f"127.0.0.1:{health}"})
    shown = sink.check()
    assert TOKEN not in shown.stdout + shown.stderr
    daemon = sink.daemon()
    base, aside = f"https://127.0.0.1:{sink.http_port}", f"http://127.0.0.1:{health}"

    def at(url, *arguments):
        try:
            return ask(url, *arguments)
        except (urllib.error.URLError, ConnectionError):
            return 0, ""

    daemon.await_that(lambda: at(base + "/healthz", authority)[0] == 200)
    daemon.await_that(lambda: at(base + "/configuration", authority, "Bearer " + TOKEN)[0] == 200)
    for path in ["/", "/status", "/metrics", "/trends", "/configuration"]:
        code, body = ask(base + path, authority)
        assert code == 401 and TOKEN not in body
        assert ask(base + path, authority, "Bearer " + TOKEN)[0] == 200
        assert ask(base + path, authority, basic(TOKEN))[0] == 200
        assert ask(aside + path)[0] == 404, "health alone"
    for wrong in ["Bearer " + TOKEN[:-1], f"Bearer {TOKEN}x", "Bearer ", "Bearer", "Basic !!", basic(""),
                  "Negotiate x"]:
        assert ask(base + "/status", authority, wrong)[0] == 401, wrong
    with pytest.raises(urllib.error.URLError, match="(?i)certificate"):
        ask(base + "/healthz")
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        ask(base.replace("https", "http") + "/healthz")

    # Ready or not is told to anybody, what the target has said is not.
    daemon.await_that(lambda: "waits for its target: " in
                      ask(base + "/readyz", authority, "Bearer " + TOKEN)[1])
    for url in (aside, base):
        code, body = ask(url + "/readyz", authority)
        assert code == 503 and "waits for its target\n" in body
    assert ask(aside + "/healthz") == (200, "ok\n")

    # A probe on the one does not change what form the other's answer has.
    done, wanted = threading.Event(), "application/openmetrics-text; version=1.0.0"

    def probe():
        while not done.is_set():
            ask(aside + "/healthz")

    scraper = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(
        context=ssl.create_default_context(cafile=authority)))
    probes = [threading.Thread(target=probe) for _ in range(3)]
    for thread in probes:
        thread.start()
    try:
        for _ in range(150):
            request = urllib.request.Request(base + "/metrics", headers={
                "Authorization": "Bearer " + TOKEN, "Accept": wanted})
            with scraper.open(request, timeout=30) as answer:
                assert answer.headers["Content-Type"].startswith(wanted)
                assert answer.read().endswith(b"# EOF\n")
    finally:
        done.set()
        for thread in probes:
            thread.join()

    assert "waiting" in sink.run("status", "-c", sink.conf, expect=Exit.NEGATIVE).stdout
    url = f"127.0.0.1:{sink.http_port}"
    said = sink.run("status", "--url", f"https://{url}", expect=Exit.SOURCE).stderr
    assert "certificate" in said.lower(), "it is not of the system's authorities"
    daemon.kill()


def test_certificates_of_clients(sink, database, kafka, table, tmp_path):
    """Without one, with one of another authority, of another purpose, too old: told why not. The authority's file is
    replaced while the daemon runs."""
    certificates = Certificates(tmp_path)
    certificates.certificate("alien", "stranger", "DNS:client.test")
    certificates.certificate("serves", "ca", "DNS:client.test\nextendedKeyUsage=serverAuth")
    certificates.certificate("asks", "ca", "DNS:client.test\nextendedKeyUsage=clientAuth")
    authority, clients = certificates.path("ca.crt"), tmp_path / "clients.crt"
    clients.write_text(authority.read_text())
    files = {"certificate": str(certificates.path("server.crt")), "key": str(certificates.path("server.key")),
             "client_ca": str(clients)}
    sink.write(pipeline(table), database=database, kafka=True, http=files)
    daemon = sink.daemon()
    base = f"https://127.0.0.1:{sink.http_port}"

    def status(name=None, authorization=None, path="/status"):
        try:
            return ask(base + path, authority, authorization, certificates.path(f"{name}.pem") if name else None)
        except OSError:
            return 0, ""

    daemon.await_that(lambda: status(path="/readyz")[0] == 200, what="ready, which anybody may see")
    for path in ("/", "/status", "/metrics", "/trends"):
        code, body = status(path=path)
        assert code == 403 and "http.client_ca" in body and "it has shown none" in body
        assert status("client", path=path)[0] == 200 and status("asks", path=path)[0] == 200
    for name, why in (("alien", "(?i)issuer"), ("serves", "(?i)purpose")):
        code, body = status(name)
        assert code == 403 and re.search(why, body), body
    curl = ["curl", "-s", "-o", tmp_path / "said", "-w", "%{http_code}", "--cacert", authority, base + "/status"]
    shown = ["--cert", certificates.path("client.crt"), "--key", certificates.path("client.key")]
    for more, code in (([], "403"), (shown, "200")):
        assert subprocess.run([*curl, *more], capture_output=True, text=True, check=True).stdout == code
    said = sink.run("status", "-c", sink.conf, expect=Exit.SOURCE).stderr
    assert "--certificate" in said and "it has shown none" in said
    sink.run("status", "-c", sink.conf, "--certificate", certificates.path("client.crt"), "--key",
             certificates.path("client.key"))
    # Another authority, by itself.
    new = tmp_path / "clients.new"
    new.write_text(certificates.path("stranger.crt").read_text())
    new.replace(clients)
    daemon.await_that(lambda: status("alien")[0] == 200, 60, "the stranger's is good now")
    assert status("client")[0] == 403
    daemon.stop()

    # Beside a token one of both will do.
    sink.write(pipeline(table), database=database, kafka=True, http={**files, "token": TOKEN})
    daemon = sink.daemon()
    daemon.await_that(lambda: status(path="/readyz")[0] == 200)
    assert status("alien")[0] == 200 and status(authorization="Bearer " + TOKEN)[0] == 200
    code, body = status("client")
    assert code == 401 and "http.client_ca" in body and "http.token" in body
    daemon.stop()


def test_a_token_without_tls(sink, database, kafka, table):
    sink.write(pipeline(table), database=database, kafka=True, http={"token": TOKEN})
    daemon = sink.daemon().await_ready()
    assert daemon.get("/status")[0] == 401
    url = f"http://127.0.0.1:{sink.http_port}"
    said = sink.run("status", "--url", url, expect=Exit.SOURCE).stderr
    assert "http.token" in said
    sink.run("status", "--url", url, env={"ODS_SINK_HTTP_TOKEN": TOKEN})
    daemon.stop()


@pytest.mark.parametrize("http, says", [
    ({"certificate": "/c.pem"}, "go together"),
    ({"key": "/k.pem"}, "go together"),
    ({"health_listen": "nonsense"}, "http.health_listen"),
    ({"listen": "", "token": TOKEN}, "http.listen, which is empty"),
    ({"client_ca": "/c.pem"}, "'http.client_ca' is for TLS"),
    ({"listen": "", "operators": [{"name": "a", "token": TOKEN}]}, "http.listen, which is empty"),
])
def test_what_is_refused(sink, database, table, http, says):
    sink.write(pipeline(table), database=database, http={"listen": "127.0.0.1:0", **http})
    refused = sink.check(expect=Exit.CONFIG)
    assert says in refused.stdout + refused.stderr
