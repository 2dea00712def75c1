"""The page at /: what it says of a running daemon, drawn by Debian's Chromium. PAGE_SHOTS=DIR keeps
pictures of each state, in light and dark, and as narrow as a phone."""

import html
import json
import os
import re
import subprocess
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import ROOT
from lib.page import chromium_program
from lib.records import Table, pipeline, row
from lib.waiting import wait_for

PAGE = ROOT / "src" / "pipeline" / "page" / "index.html"
SHOTS = os.environ.get("PAGE_SHOTS")
QUIET = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--virtual-time-budget=6000"]


def chromium(folder, daemon, *arguments, language="en", port=None):
    url = f"http://127.0.0.1:{port or daemon.setup.http_port}/"
    return subprocess.run([chromium_program(), *QUIET, f"--user-data-dir={folder / 'chromium'}",
                           f"--accept-lang={language}", *arguments, url],
                          capture_output=True, text=True, timeout=120, check=True).stdout


class Shown:
    """The document as it was drawn."""

    def __init__(self, folder, daemon, language="en"):
        self.dom = chromium(folder, daemon, "--dump-dom", language=language)
        self.text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(
            r"<(script|style)>.*?</\1>", "", self.dom, flags=re.S)))

    def section(self, name):
        """Its text; None where it is hidden."""
        found = re.search(rf'<section id="s-{name}"( hidden="")?>(.*?)</section>', self.dom, re.S)
        return None if found[1] else re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", found[2]))


def shoot(folder, daemon, name):
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        for suffix, size, dark in (("", "1280,1000", False), ("-dark", "1280,1000", True),
                                   ("-phone", "500,1400", False)):
            chromium(folder, daemon, f"--screenshot={SHOTS}/{name}{suffix}.png", f"--window-size={size}",
                     *(["--blink-settings=preferredColorScheme=0"] if dark else []))


def test_it_needs_nothing_from_outside():
    text = PAGE.read_text(encoding="utf-8")
    assert len(text.encode()) < 100_000
    assert not re.search(r"(src|href)\s*=\s*[\"']?(?!data:|status|trends)\w", text), "another file"
    assert "innerHTML" not in text and "document.write" not in text, "texts of records are no HTML"


def test_what_it_says(sink, database, kafka, table, tmp_path):
    name = "it<ems> & more"
    setting = {**pipeline(table), "name": "items"}
    sink.write(setting, database=database, kafka=True, dead_letter={"topic": f"letters-{table.topic}"})
    daemon = sink.daemon()
    daemon.await_ready()
    shown = Shown(tmp_path, daemon)
    assert "items: " in shown.text or "all pipelines keep up" in shown.text
    assert shown.section("recent") is None and shown.section("held") is None and shown.section("actions") is None
    shoot(tmp_path, daemon, "idle")

    kafka.produce([table.create(row(number)) for number in range(20000)])
    daemon.await_that(lambda: database.count("items") == 20000, what="the rows")
    daemon.await_that(lambda: daemon_status(daemon)["pipelines"][0]["state"] == "caught up", what="its lag")
    shown = Shown(tmp_path, daemon, language="de")
    assert "caught up" in shown.text and "20.000" in shown.text, shown.text  # as Germans write it
    assert "1 partition" in shown.text
    shoot(tmp_path, daemon, "loaded")

    poison = f"<b>{name}</b>"
    kafka.produce([dict(table.create(row(1)), payload=poison)])
    daemon.await_that(lambda: daemon_status(daemon)["lanes"][0]["rejected"] or
                      any(lane["rejected"] for lane in daemon_status(daemon)["lanes"]), what="a letter")
    shown = Shown(tmp_path, daemon)
    recent = shown.section("recent")
    assert "set aside" in recent and "ods-sink dlq list" in recent and table.topic in recent
    [command] = set(re.findall(rf"ods-sink dlq show -c (\S+) ({re.escape(table.topic)}:\d+:\d+)", recent))
    assert command[0] == str(Path(sink.conf).resolve())
    assert poison in sink.run("dlq", "show", "-c", *command).stdout
    assert "<b>" not in re.sub(r"<script>.*?</script>", "", shown.dom, flags=re.S)
    shoot(tmp_path, daemon, "poison")
    daemon.stop()


def daemon_status(daemon):
    return json.loads(daemon.get("/status")[1])


# Pauses a table as somebody would, by its buttons alone; what is said on the way ends up in an attribute.
DRIVE = """<script>(async () => {
  const told = [], until = async condition => {
    for (let i = 0; i < 600 && !condition(); i++) await new Promise(done => setTimeout(done, 50));
    return condition();
  }, $ = id => document.getElementById(id), tell = words => { told.push(words);
    document.documentElement.dataset.told = JSON.stringify(told); };
  await until(() => document.querySelector('[data-action=pause]'));
  document.querySelector('[data-action=pause]').focus();
  document.activeElement.click();
  const form = $('ask-form');
  await until(() => form.topic.options.length);
  tell($('ask-title').textContent);
  form.token.value = 'wrong'; form.reason.value = 'an <index> is built';
  $('ask-go').click();
  await until(() => $('ask-wrong').textContent);
  tell($('ask-wrong').textContent);
  form.token.value = 'TOKEN';
  $('ask-go').click();
  await until(() => $('ask-go').textContent === 'Pause');
  tell($('ask-says').textContent);
  $('ask-go').click();
  await until(() => $('done').textContent);
  tell($('done').textContent + (document.activeElement === $('done') && !$('ask').open ? ' (focus)' : ''));
  await until(() => document.querySelector('[data-action=resume]'));
  document.querySelector('[data-action=resume]').click();
  await until(() => $('ask-go').textContent === 'Resume');
  tell($('ask-token').hidden ? $('ask-says').textContent : 'asks for the token again');
  $('ask-cancel').click();
  tell(Object.keys(localStorage).length + document.cookie);
})()</script>"""


class Between(BaseHTTPRequestHandler):
    """Hands the daemon's answers on, with a script in the page."""

    def do_GET(self):
        self.hand_on(None)

    def do_POST(self):
        self.hand_on(self.rfile.read(int(self.headers["Content-Length"])))

    def hand_on(self, body):
        kept = {name: self.headers[name] for name in ("Authorization", "Content-Type", "Sec-Fetch-Site")
                if self.headers[name]}
        request = urllib.request.Request(self.server.to + self.path, body, kept)
        try:
            answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        text = answer.read() + (self.server.script if self.path == "/" else b"")
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def test_an_operator_pauses_a_table(sink, database, kafka, table, tmp_path):
    token = "a-token-that-nobody-guesses"
    sink.write(pipeline(table), database=database, kafka=True, http={"operators": [{"name": "ada", "token": token}]})
    daemon = sink.daemon().await_ready()
    kafka.produce([table.create(row(1))])
    daemon.await_that(lambda: database.count("items") == 1, what="a row")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    server.to, server.script = f"http://127.0.0.1:{sink.http_port}", DRIVE.replace("TOKEN", token).encode()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        drawn = chromium(tmp_path, daemon, "--virtual-time-budget=30000", "--dump-dom", port=server.server_port)
    finally:
        server.shutdown()
        server.server_close()
    title, wrong, will, was, again, kept = json.loads(html.unescape(re.search(r'data-told="(.*?)"', drawn)[1]))
    assert title == "Pause a table, pipeline items" and "no operator" in wrong
    assert will.startswith(f"public.items (topic {table.topic}) will be held in every process of pipeline items")
    assert was == f"● public.items (topic {table.topic}) is paused: the process of the group obeys. (focus)"
    assert again.startswith(f"public.items (topic {table.topic}) will go on") and kept == "0"
    held, = daemon_status(daemon)["paused"]
    assert (held["by"], held["reason"]) == ("ada", "an <index> is built")
    assert database.value("select answer like '%is paused%' from ods_sink.audit")
    daemon.stop()


def test_the_past_is_there_without_a_server_of_metrics(sink, database, kafka, table):
    sink.write(pipeline(table), database=database, kafka=True)
    daemon = sink.daemon()
    kafka.produce([table.create(row(number)) for number in range(1000)])
    daemon.await_that(lambda: database.count("items") == 1000, what="the rows")

    def trends():
        return json.loads(daemon.get("/trends")[1])

    assert trends()["samples"] * trends()["step_seconds"] == 3600
    daemon.await_that(lambda: len(trends()["pipelines"][0]["changes_per_second"]) == 1, 60, "a sample")
    course = trends()["pipelines"][0]
    assert course["changes_per_second"][0] == pytest.approx(1000 / trends()["step_seconds"], rel=0.2)
    assert course["lag_records"] == [0]
    assert course["latency_p50_seconds"][0] <= course["latency_p99_seconds"][0]
    daemon.stop()
