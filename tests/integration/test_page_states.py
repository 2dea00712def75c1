"""The page in every state, at every width, drawn by Debian's Chromium from the answers of a daemon that is played: nothing
is wider than a phone, and axe-core finds nothing.
PAGE_SHOTS=DIR keeps the pictures."""

import html
import json
import math
import os
import random
import re
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import jsonschema
import pytest
from conftest import ROOT
from lib.page import axe_script, chromium_program, launch, packages
from lib.size import left_out

PAGE = (ROOT / "src" / "pipeline" / "page" / "index.html").read_text(encoding="utf-8")
SCHEMA = json.loads((ROOT / "docs" / "status.schema.json").read_text(encoding="utf-8"))
SHOTS = os.environ.get("PAGE_SHOTS")
# These differ by words alone: of a short run one of them is drawn as narrow as a phone too.
AS_WIDE = set() if SHOTS else left_out(random.randrange(10**9), ("idle", "down", "poison"))
QUIET = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--virtual-time-budget=6000"]
# What is measured, and axe's answer, end up in an attribute of the document.
MEASURE = """<script>
const open = which => document.querySelectorAll('details').forEach(one => { one.open ||= which(one); });
setTimeout(() => open(one => !/\\d{3}/.test(one.innerText)), 1500); // axe would take minutes for the others
setTimeout(async () => {
  const seen = await axe.run(document), found = seen.violations.map(one => one.id + ': ' +
    one.nodes.map(node => node.html.slice(0, 120)).join(' | '));
  open(() => true);
  await new Promise(done => setTimeout(done, 200));
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  document.documentElement.dataset.measured = JSON.stringify({wide, found, right: seen.passes.length});
}, 3000)</script>"""


CONFIGURATION = {"lanes": 2, "kafka.properties": {"sasl.password": "***"}, "kafka.topics_that_are_not_there": None,
                 "targets[ods].dsn": "host=10.1.2.3 password=***", "pipelines[shop].tables": [], "pipelines[shop].evolve": "<b>add</b>"}


def lane(pipeline, number, state="caught up", level="good", says=None, lag=0, tables=6, **others):
    now = time.time()
    return {"pipeline": pipeline, "group": pipeline, "target": "ods", "lane": number, "writer": "idle", "state": state,
            "level": level, "says": says or state, "since": None, "seconds_left": None, "state_seconds": 4.2,
            "joined": True, "kafka_reachable": True, "target_reachable": True, "dead_letters_reachable": True,
            "records": 1234567, "changes": 1234560, "rejected": 0, "last_change_at": now - 0.4,
            "last_commit_at": now - 0.2, "last_error": None, "recent": [],
            "partitions": [{"topic": f"shop.store.a_table_with_a_long_name_{table:03d}", "partition": 0, "state": "active",
                            "applied": 120000 + table, "position": 120000 + table, "end": 120000 + table + lag,
                            "lag": lag} for table in range(number, tables, 2)], **others}


def status(*pipelines, **others):
    lanes = [one for lanes in pipelines for one in lanes]
    told = [{"pipeline": lanes[0]["pipeline"], "lag": sum(part["lag"] for one in lanes for part in one["partitions"]),
             **{name: lanes[0][name] for name in ("state", "level", "says", "since", "seconds_left")}} for lanes in pipelines]
    return {"schema": 1, "version": "0.1.0", "actions": False, "quality": [], "fleet": [],
            "now": time.time(), "configuration": "/etc/ods-sink/the shop.conf", "pipelines": told, "lanes": lanes, "paused": [], "retention": [], "attention": [], "dead_letters": [],
            "connect": [], "sources": [], "verify": [], "derived": [], "tables": [], "tables_total": 0, **others}


def processes(*members):
    now = time.time()
    return [{"pipeline": "shop", "group": "shop", "problem": None, "read_at": now - 1, "members": [
        {"member": f"{host}, process {number}, 0a1b2c", "self": host == "ods-1", "host": host, "process": number,
         "version": "0.1.0", "address": f"http://{host}:8090/", "lanes": 2, "state": state, "level": level, "says": says,
         "partitions": 3, "assigned": f"shop.store.a_table_with_a_long_name_{number % 7:03d} 0; shop.store.orders 0-1",
         "lag": lag, "changes_per_second": lag / 22, "started_at": now - 86400, "beat_at": now - silent}
        for host, number, state, level, says, lag, silent in members]}]


def tables(count):
    states = [("behind", 42000), ("keeps up", 12), ("paused", 7), ("caught up", 0), ("not known", None), ("elsewhere", None)]
    return [{"pipeline": "shop", "table": None if state == "not known" else f"store.a_table_with_a_long_name_{number:03d}",
             "topic": f"shop.store.a_table_with_a_long_name_{number:03d}", "state": state, "lag_records": lag and lag - number,
             "changes": 120000 + number, "changes_per_second": None if lag is None else 3.25 * number,
             "last_change_at": None if lag is None else time.time() - number,
             "complete_to": None if lag is None else time.time() - number - 40, "snapshot_rows": 18_000 if number == 0 else None,
             "seconds_left": None if lag is None else lag / 120 if lag != 12 else None}
            for number in range(count) for state, lag in [states[min(number // 2, 3 + number % 3)]]]


def note(text, letter=False, times=1):
    now = time.time()
    return {"kind": "letter" if letter else "error", "first_at": now - 90, "last_at": now - 5, "times": times, "text": text}


def states():
    now = time.time()
    shop, crm = [lane("shop", n) for n in range(2)], [lane("crm", 0)]
    yield "idle", status(shop, crm)
    behind = {"state": "catching up", "level": "warn", "lag": 42000,
              "says": "catching up: 252000 records behind, about 4 min yet"}
    passed = {name: 12 for name in ("passes", "keys", "rows_made", "rows_changed", "rows_removed")}
    derived = [{**passed, "target": "ods", "table": "public.order_view", "state": "keeps", "problem": None, "fresh_at": now - 1,
                "waiting": 12, "errors": 0}, {**passed, "target": "ods", "table": "public.totals", "state": "keeps",
                                             "problem": None, "fresh_at": now - 1, "waiting": 0, "errors": 2}]
    sources = [{"pipeline": "shop", "database": "shop", "type": "postgres", "looked_at": now - 9, "reachable": True, "failure": None, "logs": [
        {"slot": "ods_shop", "state": "ok", "why": None, "retained_bytes": 18_300_000, "left_seconds": None}]},
        {"pipeline": "crm", "database": "crm", "type": "postgres", "looked_at": now - 9, "reachable": True, "failure": None, "logs": [
            {"slot": "ods_crm", "state": "inactive", "why": "nobody has read it for 19 min", "retained_bytes": 41_700_000_000,
             "left_seconds": 12300}]}]
    verify = [{"pipeline": "shop", "mode": "full", "running": False, "failure": None, "next_at": now + 3600, "last": {
        "result": "equal", "missing": 0, "extra": 0, "changed": 0, "source_rows": 1234567, "ended_at": now - 600}},
        {"pipeline": "crm", "mode": "full", "running": False, "failure": None, "next_at": now + 900, "last": {
            "result": "differs", "missing": 1, "extra": 0, "changed": 4, "source_rows": 52000, "ended_at": now - 60, "tables": [
                {"table": "public.people", "result": "equal", "missing": 0, "extra": 0, "changed": 0, "why": ""},
                {"table": "public.Sales orders", "result": "differs", "missing": 1, "extra": 0, "changed": 4, "why": ""}]}}]
    paused = [{"pipeline": "crm", "topic": "crm.public.people", "table": "people", "state": "paused", "since": now - 7200,
               "by": "ada@ops-1", "reason": "an index is built", "backlog": 5120}]
    held = {**paused[0], "pipeline": "shop", "topic": "shop.store.a_table_with_a_long_name_004", "by": "grace@ops-2"}
    fleet = processes(
        ("ods-1", 4711, "catching up", "warn", behind["says"], 42000, 3),
        ("ods-2.example.org", 815, "caught up", "good", "caught up", 0, 1),
        ("ods-3", 12, "silent", "warn", "silent for 95 s: it ended without leaving, or does not reach the target; its "
         "source gives its partitions to the others", 0, 95))
    connect = [{"cluster": "", "reachable": True, "failure": None, "looked_at": now - 20, "connectors": [
        {"name": "shop", "state": "running", "level": "good", "says": "running", "tasks": 1, "tasks_failed": 0},
        {"name": "the people's", "state": "running", "level": "bad", "says": "running, but 1 of 1 task failed", "tasks": 1,
         "tasks_failed": 1}]}, {"cluster": "crm", "reachable": False, "looked_at": now - 20, "connectors": [],
                                "failure": "connect cluster crm (http://connect.crm.example.org:8083): Connection refused"}]
    rule = {"table": "public.Sales orders", "rule": "range_amount", "state": "fail", "measured": 1204, "expected": "at most 0 rows",
            "why": "1,204 of 52,000 rows", "at": "2026-11-27T10:12:03Z"}
    quality = [{"pipeline": "crm", "running": False, "problem": None, "checked_at": now - 60, "next_at": now + 3540,
                "counts": {"pass": 12, "fail": 1, "unknown": 1}, "broken": [rule, {
                    **rule, "rule": "checksum", "state": "unknown", "measured": None, "why": "the source is away"}], "flight": []},
               {"pipeline": "shop", "running": False, "problem": None, "checked_at": None, "next_at": None,
                "counts": {"pass": 0, "fail": 0, "unknown": 0}, "broken": [], "flight": [{
                    "table": "store.orders", "rule": "not_null_customer", "on_fail": "mark", "changes": 120000, "broken": 17}]}]
    verify.append({**verify[0], "pipeline": "hr", "last": {**verify[0]["last"], "result": "can't tell"}})
    attention = [{"level": "bad", "says": "connector the people's: running, but 1 of 1 task failed"},
                 {"level": "bad", "says": "crm compared with its source: differs"},
                 {"level": "warn", "says": "the log of crm is inactive"}]
    yield "operated", status([lane("shop", n) for n in range(2)], crm, sources=sources, verify=verify, paused=paused, fleet=fleet,
                             connect=connect, quality=quality, attention=attention, actions=True)
    yield "loaded", status([lane("shop", n, **behind) for n in range(2)], crm, derived=derived, sources=sources,
                           verify=verify, paused=[*paused, held], fleet=fleet, connect=connect, attention=attention, tables=tables(9), tables_total=9)
    why = ('target ods: connection to server at "10.1.2.3", port 5432 failed: Connection refused Is the server running on '
           'that host and accepting TCP/IP connections?')
    down = {"state": "waiting", "level": "bad", "says": f"waits for its target ods since 2026-11-27 10:12:03 UTC (3 min): {why}"}
    yield "down", status([lane("shop", n, **down, lag=90, last_error=why, recent=[note(why, times=14)]) for n in range(2)], crm)
    letter = ("1 record set aside; topic shop.store.orders partition 0 offset 4711: apply: column \"amount\": 123456789.123 "
              "does not fit numeric(8,2)")
    yield "poison", status([lane("shop", 0, rejected=3, recent=[note(letter, letter=True, times=3)])], crm)
    yield "tables", status([lane("shop", n, tables=500, **{**behind, "lag": 504}) for n in range(2)], tables=tables(500), tables_total=700)


def asked():
    """What the page's head says first of pipelines that keep up: what asks for attention, the worst of it."""
    shop = [lane("shop", 0)]
    letters, differs = "shop: 3 dead letters wait, the oldest since 2026-11-29 02:40 UTC", "shop compared with its source: differs"
    said = [{"level": "bad", "says": differs}, {"level": "warn", "says": letters}]
    yield "nothing", status(shop), "all pipelines keep up"
    yield "letters", status(shop, attention=said[1:]), letters
    yield "the worst", status(shop, attention=said), differs
    yield "a pipeline", status([lane("shop", 0, state="behind", level="warn", says="is behind")], attention=said[1:]), "shop: is behind"


def course(hill):
    return [round(1800 + 700 * math.sin(n / 40) + 90 * math.sin(n * 1.7), 1) if hill else 0.0 for n in range(360)]


def trends():
    return {"step_seconds": 10, "samples": 360, "newest_at": time.time(), "pipelines": [
        {"pipeline": name, "changes_per_second": course(hill), "latency_p50_seconds": [0.021 + n % 7 / 900 for n in range(360)],
         "latency_p99_seconds": [0.058 + n % 11 / 300 for n in range(360)],
         "lag_records": [max(0, 900 - 9 * abs(n - 200)) * hill for n in range(360)]} for name, hill in (("shop", 1), ("crm", 0))]}


@pytest.fixture(scope="module")
def played():
    """Answers what `played.pages` says."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            text = self.server.pages.get(self.path.split("?")[0])
            self.send_response(200 if text else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8" if self.path in ("/", "/page") else "application/json")
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *_):
            pass

    chromium_program()
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.pages = {"/": f"{PAGE}<script>{axe_script()}</script>{MEASURE}", "/trends": json.dumps(trends()),
                    "/configuration": json.dumps({"settings": CONFIGURATION})}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def chromium(folder, server, *arguments, language="en"):
    return subprocess.run([chromium_program(), *QUIET, f"--user-data-dir={folder}/chromium", f"--accept-lang={language}", *arguments,
                           f"http://127.0.0.1:{server.server_port}/"],
                          capture_output=True, text=True, timeout=120, check=True).stdout


# A phone of 320 px: Chromium's window is not narrower than 500, so the page is put into a frame.
FRAME = '<!doctype html><title>…</title><iframe src="/page" width="320" height="1800" style="border:0"></iframe>' \
        "<script>setInterval(() => { " \
        "document.documentElement.dataset.measured = " \
        "document.querySelector('iframe').contentDocument.documentElement.dataset.measured }, 100)</script>"


def measured_of(drawn):
    return json.loads(html.unescape(re.search(r'data-measured="(.*?)"', drawn)[1]))


def assert_fine(measured):
    assert measured["found"] == [] and measured["right"] > 20 and measured["wide"] <= 0, measured


def test_head(played):
    packages()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        page = launch(playwright).new_page(locale="en-US")
        for name, said, head in asked():
            jsonschema.validate(said, SCHEMA)
            played.pages["/status"] = json.dumps(said)
            page.goto(f"http://127.0.0.1:{played.server_port}/")
            page.locator("#overall .state").wait_for()
            assert head in page.locator("#overall").inner_text(), name


@pytest.mark.parametrize("name, said", list(states()), ids=[name for name, _ in states()])
def test_state(played, tmp_path, name, said):
    jsonschema.validate(said, SCHEMA)
    played.pages["/status"] = json.dumps(said)
    drawn = chromium(tmp_path, played, "--dump-dom")
    assert_fine(measured_of(drawn))
    for one in said["pipelines"]:
        shown = html.unescape(re.sub(r"<[^>]*>", "", drawn))
        assert all(part in shown for part in one["says"].split("): ")), one
    says = {one["pipeline"]: one["says"] for one in said["pipelines"]}
    for fleet in said.get("fleet", ()):
        for process in fleet["members"]:  # its own is as it is now
            words = says[fleet["pipeline"]] if process["self"] else process["says"]
            assert f"{process['host']}, process {process['process']}" in shown and words in shown, process
    if said["tables"]:
        total = said["tables_total"]
        assert f"{total} tables, snapshot of 1, records wait for 6, those that are furthest behind first" in shown
        assert ("500 more" in shown) == (total == 700)
        rows = re.findall(r'<td data-name="table">(.*?)</td>', drawn[drawn.index('id="tables"'):])
        assert rows[0] == "store.a_table_with_a_long_name_000" and len(rows) == min(total, 200), rows
        assert "40 s ago" in shown
        assert "snapshot: 18,000 rows, 30% of what has come, about 6 min yet" in shown
        if len(said["paused"]) > 1:
            assert "paused by grace@ops-2" in shown
    assert all(f"Lane {one['lane']}: " in shown and f"writer {one['writer']}" in shown for one in said["lanes"])
    rows = re.findall(r'<td data-name="setting" class="text"><code>(.*?)</code></td><td[^>]*><code>(.*?)</code>', re.sub(
        r'class="text" data-name="(\w+)"', r'data-name="\1" class="text"', drawn))
    assert {name: json.loads(html.unescape(value)) for name, value in rows} == CONFIGURATION, rows
    if name == "poison":
        assert "ods-sink dlq show -c '/etc/ods-sink/the shop.conf' shop.store.orders:0:4711" in shown
    if said["connect"]:  # its pipelines keep up meanwhile
        head = html.unescape(re.search(r'<p id="overall".*?</p>', drawn)[0])
        assert "connector the people's: running, but 1 of 1 task failed" in head
        assert "ods-sink connectors status -c '/etc/ods-sink/the shop.conf' --cluster connect 'the people'\\''s'" in shown
    if said["verify"]:
        assert "ods-sink verify -c '/etc/ods-sink/the shop.conf' --pipeline crm 'public.Sales orders'" in shown
        assert '>public.people<' not in drawn
        found = re.findall(r'<td[^>]*data-name="(?:result|state)"[^>]*><span class="state (\w+)">.*?</span>(.*?)</span>', drawn)
        assert {("good", "equal"), ("bad", "differs"), ("warn", "can't tell"), ("good", "ok")} <= set(found), found
    if said["quality"]:
        assert "ods-sink quality run -c '/etc/ods-sink/the shop.conf' --pipeline crm 'public.Sales orders' --rule range_amount" in shown
        assert "1 rule broken" in shown and "only looked at on their way" in shown and "not_null_customer" in shown
        found = re.findall(r'<td[^>]*data-name="state"[^>]*><span class="state (\w+)">.*?</span>(.*?)</span>', drawn)
        assert {("bad", "broken"), ("warn", "not known")} <= set(found), found
    if name in AS_WIDE:
        return
    whole = played.pages["/"]
    try:
        played.pages.update({"/": FRAME, "/page": whole})
        narrow = chromium(tmp_path, played, "--dump-dom", language="de")
        if SHOTS:
            chromium(tmp_path, played, f"--screenshot={SHOTS}/state-{name}-320.png", "--window-size=500,1850", language="de")
    finally:
        played.pages["/"] = whole
    assert_fine(measured_of(narrow))
    if SHOTS:
        chromium(tmp_path, played, f"--screenshot={SHOTS}/state-{name}.png", "--window-size=1280,1000")
        chromium(tmp_path, played, f"--screenshot={SHOTS}/state-{name}-dark.png", "--window-size=1280,1000",
                 "--blink-settings=preferredColorScheme=0", language="de")


def test_what_nobody_can_use_is_found(played, tmp_path):
    """axe-core looks at what was drawn: a field without a name, and words that can hardly be seen."""
    whole = played.pages["/"]
    played.pages.update({"/status": json.dumps(dict(states())["idle"]), "/": whole.replace(
        "<main>", '<main><input><p style="color: #777; background: #888">hardly</p>')})
    try:
        found = measured_of(chromium(tmp_path, played, "--dump-dom"))["found"]
    finally:
        played.pages["/"] = whole
    assert sorted(one.partition(":")[0] for one in found) == ["color-contrast", "label"], found


def test_what_is_used_stays_while_it_is_drawn_anew(played):
    """A link that has the focus, a table that is walked by keys, an open list: each is the same node after it has been drawn
    again, also where its row has moved."""
    packages()
    from playwright.sync_api import sync_playwright
    said = dict(states())["loaded"]
    played.pages["/status"] = json.dumps(said)
    members = said["fleet"][0]["members"]

    def drawn_anew(page, lag):
        members.reverse()
        members[0].update(level="bad", state="waiting", says=f"waits for {lag}")
        members[1].update(lag=lag)
        played.pages["/status"] = json.dumps(said)
        page.locator("#fleet").get_by_text(f"{lag:,}").first.wait_for(timeout=20000)

    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(locale="en-US", viewport={"width": 400, "height": 900})
        page.goto(f"http://127.0.0.1:{played.server_port}/")
        page.locator("#fleet a").first.wait_for()
        page.locator("#all summary").click()
        for number, place in enumerate(("#fleet a", "#fleet .scroll", "#partitions .scroll", "#all summary")):
            page.evaluate("place => { window.used = document.querySelector(place); used.focus(); }", place)
            for turn in range(2):
                drawn_anew(page, 71000 + 100 * number + turn)
                assert page.evaluate("document.activeElement === used"), \
                    f"{place}: {page.evaluate('document.activeElement.outerHTML.slice(0, 99)')}"
        assert page.locator("#all").get_attribute("open") is not None
        assert page.locator("#fleet tbody tr").count() == len(members)
        words = page.locator("#fleet tbody tr").all_inner_texts()
        assert all(sum(one["host"] + "," in text and one["says"] in text for text in words) == 1
                   for one in members if not one["self"]), words
        browser.close()


def test_a_topic_that_comes_while_it_is_asked_for_can_be_chosen(played):
    """Its partition was between two lanes as the question was opened; what was chosen meanwhile stays."""
    packages()
    from playwright.sync_api import sync_playwright

    def say(tables):
        played.pages["/status"] = json.dumps(status([lane("shop", 0, tables=tables)], actions=True))

    say(3)
    with sync_playwright() as playwright:
        page = launch(playwright).new_page(locale="en-US")
        page.goto(f"http://127.0.0.1:{played.server_port}/")
        page.get_by_role("button", name="Pause a table…").click()
        topic = page.get_by_label("Its topic")
        names = [f"shop.store.a_table_with_a_long_name_{number:03d}" for number in (0, 2, 4)]
        topic.select_option(names[1])
        say(5)
        page.locator(f'#ask option:text-is("{names[2]}")').wait_for(state="attached", timeout=20000)
        assert topic.input_value() == names[1]
        assert topic.locator("option").all_inner_texts() == names
