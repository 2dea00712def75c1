"""The HTTP target: each change is a request that the server has answered, keys in order."""

import hashlib
import hmac
import json
import threading
import time
import urllib.parse

import pytest

from lib.endpoint import Endpoint, tls_of
from lib.records import INT, TEXT, Table, pipeline, row
from lib.secure import Certificates
from lib.sink import Exit, free_port, read_lines
from lib.stack import ROOT
from lib.waiting import wait_for


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def target(endpoint, path="/changes", **settings):
    return [{"name": "ods", "type": "http", "url": endpoint.url + path, **settings}]


def ids(requests):
    return [request.json()["key"]["id"] for request in requests]


def test_changes_become_requests(sink, endpoint):
    table = Table()
    sink.write(pipeline(table), targets=target(endpoint))
    done = sink.replay([table.create(row(1)), table.update(row(1), row(1, 5)),
                        table.delete(row(1, 5))])["pipelines"][0]
    first, second, third = endpoint.requests
    assert [request.json()["op"] for request in endpoint.requests] == ["c", "u", "d"]
    assert (first.method, first.path) == ("POST", "/changes")
    assert first.headers["Content-Type"] == "application/json"
    assert second.json()["after"] == {"id": 1, "name": "n1", "amount": 5}
    assert third.json()["before"]["amount"] == 5
    assert [request.identity for request in endpoint.requests] == [
        f"items:{table.topic}:0:{offset}" for offset in range(3)]
    assert (done["upserted"], done["deleted"]) == (2, 1)


def test_templates(sink, endpoint):
    table = Table()
    sink.write(pipeline(table), targets=target(
        endpoint, "/{{table}}/{{key.id}}?name={{row.name}}", method="PUT", delete_method="DELETE",
        headers={"X-Op": "{{op}} of {{database}}", "Content-Type": "application/vnd.shop+json"},
        body='{"text": "{{after.name}}: {{ after.amount }}, {{after}}", "row": {{after}}, '
             '"none": {{after.nothing}}, "was": "{{before.amount}}", "at": {{offset}}}'))
    name = 'a "q"\\ ü/&'
    before = {**row(1), "name": name}
    sink.replay([table.create(before), table.delete(before)])
    put, delete = endpoint.requests
    assert urllib.parse.unquote(put.path) == f"/items/1?name={name}" and "/&" not in put.path
    assert put.method == "PUT" and delete.method == "DELETE" and delete.body == b""
    assert put.headers["X-Op"] == "c of shop"
    assert put.headers["Content-Type"] == "application/vnd.shop+json"
    shown = json.dumps(before, separators=(",", ":"), ensure_ascii=False)
    assert put.json() == {"text": f"{name}: 0, {shown}", "row": before, "none": None, "was": "",
                          "at": 0}


def test_a_body_of_plain_text(sink, endpoint):
    table = Table()
    sink.write(pipeline(table), targets=target(
        endpoint, content_type="text/plain", body="{{after.name}} has {{after.amount}}"))
    sink.replay([table.create({**row(1), "name": 'a "q"'})])
    assert endpoint.requests[0].body == b'a "q" has 0'


def test_tables_and_columns_are_chosen(sink, endpoint):
    table, skipped = Table(), Table("skipped")
    sink.write({**pipeline("^src"), "tables": {
        "items": {"columns": {"exclude": ["name"], "rename": {"amount": "total"}}},
        "skipped": {"skip": True}}}, targets=target(endpoint, "/{{after.total}}"))
    sink.replay([table.create(row(1)), skipped.create(row(1))])
    (request,) = endpoint.requests
    assert request.path == "/0" and request.json()["after"] == {"id": 1, "total": 0}


def test_what_is_refused_is_a_letter(sink, endpoint, tmp_path):
    table = Table()
    endpoint.answer = lambda request: (422, {}, b"no such\ncustomer") \
        if request.json()["key"]["id"] == 2 else 201
    sink.write(pipeline(table), targets=target(endpoint))
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.create(row(number)) for number in range(5)], dead_letter=letters)
    assert sorted(ids(endpoint.taken())) == [0, 1, 3, 4]
    (letter,) = read_lines(letters)
    text = json.dumps(letter)
    assert "answers 422: no such customer" in text and letter["offset"] == 2


@pytest.mark.parametrize("mode", ["array", "lines"])
def test_batches(sink, endpoint, tmp_path, mode):
    """One change of a batch is refused: the others are sent alone, and only it is a letter."""
    def bodies(request):
        text = request.body.decode()
        return json.loads(text) if mode == "array" else [json.loads(line) for line
                                                         in text.splitlines()]

    table = Table()
    endpoint.answer = lambda request: 400 if any(
        change["key"]["id"] == 7 for change in bodies(request)) else 204
    sink.write(pipeline(table), targets=target(endpoint, max_in_flight=1,
                                               batch={"max_changes": 10, "as": mode}))
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.create(row(number)) for number in range(30)], dead_letter=letters)
    sent = [[change["key"]["id"] for change in bodies(request)] for request in endpoint.taken()]
    assert sum(sent, []) == [number for number in range(30) if number != 7]
    assert max(map(len, sent)) == 10
    assert [letter["offset"] for letter in read_lines(letters)] == [7]
    whole = next(request for request in endpoint.taken() if len(bodies(request)) == 10)
    first, last = whole.identity.split("#")[0].split("-")
    assert int(last.rsplit(":", 1)[1]) - int(first.rsplit(":", 1)[1]) == 9
    assert len({request.identity for request in endpoint.requests}) == len(endpoint.requests)


def test_keys_stay_in_order_while_many_are_in_flight(sink, endpoint):
    at_once, most = set(), [0]
    lock = threading.Lock()

    def slowly(request):
        number = request.json()["key"]["id"]
        with lock:
            assert number not in at_once, "two of a key at once"
            at_once.add(number)
            most[0] = max(most[0], len(at_once))
        time.sleep(0.002)
        with lock:
            at_once.discard(number)
        return 200

    endpoint.answer = slowly
    table = Table()
    sink.write(pipeline(table), targets=target(endpoint))
    records = [table.create(row(number)) for number in range(20)]
    for amount in range(1, 10):
        records += [table.update(row(number, amount - 1), row(number, amount))
                    for number in range(20)]
    sink.replay(records)
    for number in range(20):
        assert [request.json()["after"]["amount"] for request in endpoint.taken()
                if request.json()["key"]["id"] == number] == list(range(10))
    assert len(endpoint.requests) == 200 and most[0] > 4


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 401])
def test_an_outage_passes(sink, endpoint, status):
    """What was answered before it is not sent again while the process lives."""
    failed = []

    def answer(request):
        if request.json()["key"]["id"] == 10 and len(failed) < 2:
            failed.append(request)
            return status, {"Retry-After": "1"} if len(failed) == 1 else {}, b"later"
        return 200

    endpoint.answer = answer
    table = Table()
    sink.write(pipeline(table), targets=target(endpoint))
    sink.replay([table.create(row(number)) for number in range(30)])
    assert sorted(ids(endpoint.taken())) == list(range(30))
    assert len({request.identity for request in failed}) == 1
    again = next(request for request in endpoint.requests if request.began > failed[0].ended
                 and request.json()["key"]["id"] == 10)
    assert again.began - failed[0].ended >= 0.9, "the server said when"


def test_conflicts_as_configured(sink, endpoint, tmp_path):
    table = Table()
    endpoint.answer = lambda request: 409
    letters = tmp_path / "letters.jsonl"
    sink.write(pipeline(table), targets=target(endpoint, on_conflict="done"))
    sink.replay([table.create(row(1))], dead_letter=letters)
    assert not letters.exists() or not read_lines(letters)
    sink.write(pipeline(table), targets=target(endpoint))
    sink.replay([table.create(row(1))], dead_letter=letters)
    assert len(read_lines(letters)) == 1


def test_a_redirect_stops_and_names_the_server(sink, endpoint):
    """And not the rest of the URL, which may be a secret."""
    table = Table()
    endpoint.answer = lambda request: (308, {"Location": "https://example.test/secret"}, b"")
    sink.write(pipeline(table), targets=target(endpoint, "/secret"))
    done = sink.replay_fails([table.create(row(1))], Exit.TARGET)
    assert "answers 308, which leads to https://example.test:" in done.stderr
    assert "secret" not in done.stderr


def test_an_answer_that_tells_the_path_is_not_shown(sink, endpoint, tmp_path):
    table = Table()
    endpoint.answer = lambda request: (404, {}, f"Cannot POST {request.path}".encode())
    sink.write(pipeline(table), targets=target(endpoint, "/hooks/secret"))
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.create(row(1))], dead_letter=letters)
    text = letters.read_text()
    assert "answers 404" in text and "secret" not in text


def test_a_line_is_one_line(sink, endpoint):
    """Also of JSON that came over several lines, and of a template that has line ends."""
    table = Table(columns={"id": INT, "doc": {"type": "string", "name": "io.debezium.data.Json"}})
    sink.write(pipeline(table), targets=target(endpoint, body="{{after}}\n",
                                               batch={"max_changes": 10, "as": "lines"}))
    sink.replay([table.create({"id": number, "doc": '{"a":\n 1}'}) for number in range(3)])
    lines = [json.loads(line) for request in endpoint.requests
             for line in request.body.decode().splitlines()]
    assert [line["id"] for line in lines] == [0, 1, 2] and lines[0]["doc"] == {"a": 1}


def test_what_was_refused_with_others_stays_alone(sink, endpoint, tmp_path):
    """Over an outage too, so that a request that comes again is the same request."""
    table, failed = Table(), []

    def answer(request):
        changes = [change["key"]["id"] for change in request.json()]
        if 1 in changes:
            return 400
        if changes == [2] and not failed:
            failed.append(request)
            return 503
        return 200

    endpoint.answer = answer
    sink.write(pipeline(table), targets=target(endpoint, max_in_flight=1,
                                               batch={"max_changes": 3}))
    sink.replay([table.create(row(number)) for number in range(6)],
                dead_letter=tmp_path / "letters.jsonl")
    again = [request for request in endpoint.taken() if request.identity == failed[0].identity]
    assert len(again) == 1 and again[0].body == failed[0].body


def test_a_value_that_a_url_lacks_is_a_letter(sink, endpoint, tmp_path):
    table = Table()
    sink.write(pipeline(table), targets=target(endpoint, "/{{after.name}}"))
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.create({**row(1), "name": None}), table.create(row(2))],
                dead_letter=letters)
    assert [request.path for request in endpoint.requests] == ["/n2"]
    assert "{{after.name}} in the URL has no value" in json.dumps(read_lines(letters))


def test_redacted_tables_show_no_answer(sink, endpoint, tmp_path):
    table = Table()
    endpoint.answer = lambda request: (400, {}, b"you said " + request.body)
    sink.write({**pipeline(table), "tables": {"items": {"redact": ["name"]}}},
               targets=target(endpoint))
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.create({**row(1), "name": "of a person"})], dead_letter=letters)
    (letter,) = read_lines(letters)
    assert "answers 400" in json.dumps(letter["headers"])
    assert "of a person" not in json.dumps(letter["headers"])


@pytest.mark.parametrize("settings, says", [
    ({"url": "ftp://x/"}, "url: it begins with http"),
    ({"url": "http://{{table}}.test/"}, "can't stand in the host"),
    ({"url": "http://a:b@x.test/"}, "set user and password"),
    ({"url": "http://x.test/a b/{{key.id}}"}, "url: "),
    ({"url": "http://x.test:99999/"}, "url: Port number was not a decimal number"),
    ({"body": "{{nothing}}"}, "body: {{nothing}} is not known"),
    ({"body": "{{after"}, "body: {{ without its }}"),
    ({"headers": {"X-A": "a\nb"}}, "X-A: a header can't hold a control character"),
    ({"ca": "/nowhere.pem"}, "/nowhere.pem: No such file"),
    ({"token": "t", "user": "u"}, "set one of user, token"),
    ({"oauth2": {"token_url": "http://x.test/"}}, "set client_id and client_secret too"),
])
def test_wrong_settings_are_said(sink, endpoint, settings, says):
    sink.write(pipeline("t"), targets=[{**target(endpoint)[0], **settings}])
    done = sink.check(expect=Exit.CONFIG)
    assert says in done.stderr and "ods-sink.conf:" in done.stderr


def test_where_tokens_come_from_is_no_password(sink, endpoint, tmp_path):
    """A path and a URL are shown, and draw no warning; a password in the URL is hidden, and does."""
    (tmp_path / "token").write_text("t")
    secret = {"client_id": "ods", "client_secret": "${SECRET}"}
    for settings, shown, warned in (
            ({"token_file": str(tmp_path / "token")}, str(tmp_path / "token"), False),
            ({"oauth2": {**secret, "token_url": "http://x.test/t"}}, "http://x.test/t", False),
            ({"oauth2": {**secret, "token_url": "http://u:hushed@x.test/t"}}, "u:***@x.test/t", True)):
        sink.write(pipeline("t"), targets=target(endpoint, **settings))
        sink.conf.chmod(0o644)
        done = sink.run("check", "-c", sink.conf, env={"SECRET": "of both"}, expect=Exit.OK)
        assert shown in done.stdout and ("holds a password" in done.stderr) == warned, done.stderr
        assert "hushed" not in done.stdout + done.stderr and "of both" not in done.stdout + done.stderr


def test_check_tells_the_guarantee_and_the_server(sink, endpoint):
    sink.write(pipeline("t"), targets=target(endpoint, "/secret/path"))
    said = sink.check("--connect", expect=None).stdout
    assert "items to ods: at least once" in said
    assert f"{endpoint.url} takes connections" in said and not endpoint.requests


def test_a_signature(sink, endpoint):
    table = Table()
    sink.write(pipeline(table), targets=target(endpoint, sign={"secret": "of both"}))
    sink.replay([table.create(row(1))])
    sink.write(pipeline(table), targets=target(endpoint, sign={"secret": "of both"},
                                               delete_method="DELETE"))
    sink.replay([table.delete(row(1))])
    assert [request.method for request in endpoint.requests] == ["POST", "DELETE"]
    for request in endpoint.requests:
        digest = hmac.new(b"of both", request.body, hashlib.sha256).hexdigest()
        assert request.headers["X-Signature-256"] == f"sha256={digest}"


def test_credentials(sink, endpoint, tmp_path):
    table = Table()
    token = tmp_path / "token"
    token.write_text("first\n")

    def answer(request):
        if request.headers.get("Authorization") == "Bearer second":
            return 200
        token.write_text("second\n")  # it has expired, and somebody writes a new one
        return 401

    endpoint.answer = answer
    sink.write(pipeline(table), targets=target(endpoint, token_file=str(token)))
    sink.replay([table.create(row(1))])
    assert [request.headers["Authorization"] for request in endpoint.requests] == [
        "Bearer first", "Bearer second"]
    endpoint.answer = lambda request: 200
    sink.write(pipeline(table), targets=target(endpoint, user="u", password="p"))
    sink.replay([table.create(row(2))])
    assert endpoint.requests[-1].headers["Authorization"] == "Basic dTpw"


def test_client_credentials(sink, endpoint):
    """A token is asked for once, and again when the server refuses it."""
    tokens = []

    def answer(request):
        if request.path == "/token":
            form = urllib.parse.parse_qs(request.body.decode())
            assert form == {"grant_type": ["client_credentials"], "client_id": ["ods"],
                            "client_secret": ["s&cret"], "scope": ["a b"]}
            tokens.append(f"t{len(tokens)}")
            return 200, {}, json.dumps({"access_token": tokens[-1], "expires_in": 3600}).encode()
        return 200 if request.headers["Authorization"] == "Bearer t1" else 401

    endpoint.answer = answer
    table = Table()
    sink.write(pipeline(table), targets=target(endpoint, oauth2={
        "token_url": f"{endpoint.url}/token", "client_id": "ods", "client_secret": "s&cret",
        "scope": "a b"}))
    sink.replay([table.create(row(number)) for number in range(5)])
    assert tokens == ["t0", "t1"]
    assert sorted(ids([request for request in endpoint.taken() if request.path != "/token"])) \
        == list(range(5))


def test_tls_both_ways(sink, certificates, tmp_path):
    table = Table()
    endpoint = Endpoint(tls_of(certificates, client_authority="ca"))
    own = {"certificate": str(certificates.path("client.crt")),
           "key": str(certificates.path("client.key"))}
    sink.write(pipeline(table),
               targets=target(endpoint, ca=str(certificates.path("ca.crt")), **own))
    sink.replay([table.create(row(1))])
    assert len(endpoint.taken()) == 1
    sink.write(pipeline(table),
               targets=target(endpoint, ca=str(certificates.path("stranger.crt")), **own))
    done = sink.check("--connect", expect=None)
    assert done.returncode != 0 and "certificate" in done.stdout + done.stderr
    endpoint.close()


def test_a_daemon_killed_repeats_with_the_same_keys(sink, kafka, endpoint):
    """Nothing is lost, and what comes twice has the same Idempotency-Key and the same body."""
    table = Table("killed")
    kafka.create(table.topic)
    endpoint.answer = lambda request: time.sleep(0.005) or 200
    sink.write(pipeline(table), kafka=True, targets=target(endpoint, max_in_flight=4))
    kafka.produce([table.create(row(number)) for number in range(400)])
    for kill in range(3):
        daemon = sink.daemon()
        enough = len(endpoint.taken()) + 60
        daemon.await_that(lambda: len(endpoint.taken()) >= enough or
                          len({request.identity for request in endpoint.taken()}) == 400)
        daemon.kill()
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: len({request.identity for request in endpoint.taken()}) == 400)
    daemon.stop()
    bodies = {}
    for request in endpoint.taken():
        assert bodies.setdefault(request.identity, request.body) == request.body
    assert sorted(json.loads(body)["key"]["id"] for body in bodies.values()) == list(range(400))


def test_the_server_away_and_back(sink, kafka):
    """The lane waits, says for what, and ends at once when it is told to."""
    endpoint = Endpoint()
    table = Table("away")
    kafka.create(table.topic)
    sink.write(pipeline(table), kafka=True, targets=target(endpoint, timeout_ms=60000))
    hung = threading.Event()
    endpoint.answer = lambda request: hung.wait(60) and 503
    daemon = sink.daemon().await_ready()
    kafka.produce([table.create(row(number)) for number in range(10)])
    wait_for(lambda: endpoint.requests, 30, "a request")
    endpoint.answer = lambda request: 503
    hung.set()
    daemon.await_that(lambda: "answers 503" in daemon.log())
    daemon.await_that(lambda: "answers 503" in daemon.get("/status")[1])
    endpoint.answer = lambda request: 200
    daemon.await_that(lambda: len({request.identity for request in endpoint.taken()}) == 10)
    hung.clear()
    endpoint.answer = lambda request: hung.wait(60) and 200
    sent = len(endpoint.requests)
    kafka.produce([table.create(row(11))])
    wait_for(lambda: len(endpoint.requests) > sent, 30, "a request")
    daemon.stop()
    hung.set()
    endpoint.close()


def test_the_example(sink, kafka, endpoint):
    """examples/webhook as it stands."""
    table = Table("orders", prefix="shop", columns={"id": INT, "status": TEXT,
                                                    "internal_note": TEXT})
    kafka.create(table.topic)
    kafka.produce([table.create({"id": 7, "status": "new", "internal_note": "x"}),
                   table.delete({"id": 7, "status": "paid", "internal_note": "x"})])
    sink.conf, sink.http_port = ROOT / "examples" / "webhook" / "ods-sink.conf", free_port()
    daemon = sink.daemon(env={"KAFKA_BOOTSTRAP": kafka.bootstrap, "WEBHOOK_URL": endpoint.url,
                              "WEBHOOK_HTTP_PORT": str(sink.http_port)}).await_ready()
    daemon.await_that(lambda: len(endpoint.taken()) == 2)
    daemon.stop()
    assert [request.json() for request in endpoint.taken()] == [
        {"event": "order.c", "order": {"id": 7, "status": "new"}, "text": "order 7 is new"},
        {"event": "order.d", "order": {"id": 7, "status": "paid"}, "text": "order 7 is paid"}]
