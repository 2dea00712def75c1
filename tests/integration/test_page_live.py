"""The page of a running daemon, by Playwright in Debian's Chromium, through what happens to it: nothing to do, a
load, a poisoned record, PostgreSQL away and back, hundreds of tables. In each of them it is as wide as the
window from 1,280 px down to a phone's 320, light and dark, asks nobody but its daemon, can be walked
through by keyboard, and axe-core finds nothing. PAGE_SHOTS=DIR keeps the pictures."""

import json
import os
import signal

import pytest
from confluent_kafka.admin import NewTopic
from lib.page import launch, packages
from lib.records import Table, pipeline, row
from lib.size import size
from lib.toxiproxy import Toxiproxy

SHOTS = os.environ.get("PAGE_SHOTS")
TABLES = size("PAGE_TABLES", 220, 500)  # more than the page has rows for at first


@pytest.fixture(scope="module")
def browser():
    packages()
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


class View:
    """A window on the page, which notes what it asks for and what goes wrong in it."""

    def __init__(self, browser, url, width, language, scheme):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, locale=language,
                                           color_scheme=scheme)
        self.page, self.asked, self.wrong = self.context.new_page(), [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.goto(url)
        self.name, self.url = f"{width}-{scheme}", url

    def await_text(self, text, where="body"):
        self.page.locator(where).get_by_text(text).first.wait_for(timeout=30000)

    def text(self, where="body"):
        return self.page.inner_text(where)

    def check(self, state):
        from axe_playwright_python.sync_playwright import Axe
        found = Axe().run(self.page)
        assert found.violations_count == 0, f"{state}, {self.name}: {found.generate_report()}"
        assert self.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (state, self.name)
        assert not self.wrong and all(url.startswith(self.url) for url in self.asked), (self.wrong, self.asked)
        if SHOTS:
            self.page.screenshot(path=f"{SHOTS}/live-{state}-{self.name}.png", full_page=state != "tables")

    def walk(self):
        """By the tabulator key, to each thing that can be used; where one stands can be seen."""
        wanted = self.page.evaluate("[...document.querySelectorAll('a[href], button, summary, input, select, "
                                    "[tabindex]')].filter(one => one.tabIndex >= 0 && "
                                    "one.checkVisibility()).length")
        for place in range(wanted):
            self.page.keyboard.press("Tab")
            seen = self.page.evaluate("(() => { const at = document.activeElement, style = getComputedStyle(at); "
                                      "return at !== document.body && style.outlineStyle !== 'none'; })()")
            assert seen, f"place {place} of {wanted}"
        return wanted


class Views:
    def __init__(self, browser, sink):
        url = f"http://127.0.0.1:{sink.http_port}/"
        self.all = [View(browser, url, *how) for how in ((1280, "en-US", "light"), (1280, "de-DE", "dark"),
                                                         (320, "de-DE", "light"))]
        self.first, self.german, self.phone = self.all

    def check(self, state, text, where="body"):
        for view in self.all:
            view.page.reload()
            view.await_text(text, where)
            view.check(state)

    def close(self):
        for view in self.all:
            view.context.close()


def test_through_what_happens(sink, database, kafka, table, stack, browser):
    proxies = Toxiproxy(stack)
    way = f"page-{database.name}"
    port = proxies.create(way, f"127.0.0.1:{stack['POSTGRES_PORT']}").rpartition(":")[2]
    target = {"name": "ods", "type": "postgres", "dsn": f"{database.dsn} host=127.0.0.1 port={port}"}
    sink.write({**pipeline(table), "name": "items"}, kafka=True, targets=[target],
               dead_letter={"topic": f"letters-{table.topic}"})
    daemon = sink.daemon().await_ready()
    views = Views(browser, sink)
    try:
        views.check("idle", "caught up")
        assert "Lately wrong" not in views.first.text()

        kafka.produce([table.create(row(number)) for number in range(20000)])
        daemon.await_that(lambda: database.count("items") == 20000, what="the rows")
        views.check("loaded", "items")
        views.first.await_text("20,000")
        views.german.await_text("20.000")
        views.first.page.locator("#pipelines svg").first.wait_for(timeout=30000)

        kafka.produce([dict(table.create(row(1)), payload="<b>no JSON</b>")])
        views.check("poison", "set aside", "#s-recent")
        recent = views.first.text("#s-recent")
        assert "ods-sink dlq list" in recent and table.topic in recent
        assert views.first.page.locator("#s-recent b").count() == 0, "texts of records are no HTML"
        views.first.walk()

        proxies.enable(way, False)
        kafka.produce([table.create(row(20000))])
        views.check("away", "waits for its target", "#pipelines")
        overall = views.first.page.locator("#overall")
        assert overall.get_attribute("aria-live") == "polite" and "waits for its target" in overall.inner_text()
        proxies.enable(way)
        for view in views.all:  # by itself, without a reload
            view.await_text("caught up", "#pipelines")
        assert database.count("items") == 20001
        daemon.stop()
    finally:
        views.close()
        proxies.delete(way)


def test_many_tables(sink, database, kafka, prefix, browser):
    tables = [Table(f"items_{number:03d}", prefix=prefix) for number in range(TABLES)]
    for made in kafka._admin.create_topics([NewTopic(table.topic, 1, 1) for table in tables]).values():
        made.result(120)
    sink.write({**pipeline(f"^{prefix}.*"), "name": "many"}, database=database, kafka=True)
    daemon = sink.daemon()
    daemon.await_that(lambda: daemon.get("/status")[0] == 200, what="the page")
    views = Views(browser, sink)
    try:
        kafka.produce([table.create(row(number)) for table in tables[:20] for number in range(50)])
        daemon.await_that(lambda: daemon.metric("ods_sink_changes_total") == 1000, 120, "the rows")
        views.check("tables", f"{TABLES} partitions")
        for view in views.all:
            assert f"{TABLES} tables" in view.text("#s-tables")
        for other in views.all[1:]:
            other.page.goto("about:blank")  # what nobody looks at needs not be drawn
        page = views.first.page
        page.locator("#each summary").click()
        rows = page.locator("#tables tbody tr")
        rows.first.wait_for()
        assert rows.count() == 200 and f"{TABLES - 200} more" in views.first.text("#tables")
        body = daemon.get("/status")[1]
        assert len(body) < 500 * TABLES, "each table and each partition on a line"
        status = json.loads(body)
        assert status["tables_total"] == len(status["tables"]) == TABLES
        known = {one["table"]: one for one in status["tables"] if one["table"]}
        assert {name: one["changes"] for name, one in known.items()} == {f"{one.database}.{one.name}": 50 for one in tables[:20]}
        assert all((one["lag_records"], one["state"]) == (0, "caught up") and one["last_change_at"] for one in known.values()), known
        views.first.check("tables-open")
        daemon.stop()
    finally:
        views.close()


def test_what_it_runs_by_is_shown_without_secrets(sink, database, kafka, table, browser):
    """Behind the token of the rest; after a reload what a reload may change is as it is now, the rest as the lanes have it."""
    secret = "a-secret-that-nobody-guesses"
    hidden = [{"name": "hook", "type": "http", "url": f"https://127.0.0.1:1/{secret}/x",
               "headers": {"Authorization": f"Bearer {secret}"}}]
    settings = {"database": None, "kafka": True, "kafka_properties": {"ssl.key.password": secret},
                "http": {"token": secret, "operators": [{"name": "ada", "token": f"{secret}-of-ada"}]},
                "targets": [{"name": "ods", "type": "postgres", "dsn": f"{database.dsn} password={secret}"}, *hidden]}
    sink.write({**pipeline(table), "target": "ods"}, batch={"max_events": 777}, lanes=1, **settings)
    assert secret not in sink.check().stdout
    daemon = sink.daemon()
    daemon.await_that(lambda: daemon.get("/configuration")[0] == 401, what="its page, while the target refuses that password")
    context = browser.new_context(http_credentials={"username": "any", "password": secret}, locale="de-DE",
                                  viewport={"width": 320, "height": 900})
    try:
        page = context.new_page()

        def shown():
            page.goto(f"http://127.0.0.1:{sink.http_port}/")
            page.locator("#settings summary").click()
            page.locator("#configuration tbody tr").first.wait_for()
            return dict(row.split("\n", 1) for row in page.evaluate(
                "[...document.querySelectorAll('#configuration tbody tr')].map(row => "
                "[...row.cells].map(cell => cell.textContent).join('\\n'))"))

        first = shown()
        assert (first["batch.max_events"], first["lanes"], first["http.token"]) == ("777", "1", '"***"')
        assert "password=***" in first["targets[ods].dsn"] and first["targets[hook].url"] == '"https://127.0.0.1:1/***"', first
        assert secret not in page.content()
        assert daemon.get("/configuration")[0] == 401
        from axe_playwright_python.sync_playwright import Axe
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        sink.write({**pipeline(table), "target": "ods"}, batch={"max_events": 778}, lanes=2, **settings)
        daemon.signal(signal.SIGHUP)
        daemon.await_that(lambda: "reloaded" in daemon.log(), what="the reload")
        daemon.await_that(lambda: shown()["batch.max_events"] == "778", what="what was reloaded")
        assert shown()["lanes"] == "1"
        daemon.stop()
    finally:
        context.close()


def test_what_was_agreed_to_is_what_is_done(sink, database, kafka, prefix, browser):
    """The answer about one topic says nothing of another that was chosen while it was on its way."""
    tables = [Table(name, prefix=prefix) for name in ("items", "others")]
    for table in tables:
        kafka.create(table.topic, 1)
    token = "a-token-that-nobody-guesses"
    sink.write({**pipeline(f"^{prefix}.*"), "name": "items"}, database=database, kafka=True,
               http={"operators": [{"name": "ada", "token": token}]})
    daemon = sink.daemon().await_ready()
    kafka.produce([table.create(row(1)) for table in tables])
    daemon.await_that(lambda: all(database.exists(table.name) and database.count(table.name) == 1
                                  for table in tables), what="rows")
    views = Views(browser, sink)
    try:
        for view in views.all:
            view.page.get_by_role("button", name="Pause a table…").click()
            view.check("dialog")
        page, held = views.first.page, []
        page.route("**/actions/pause", lambda route: held.append(route))
        page.get_by_label("Your operator’s token").fill(token)
        page.get_by_label("Its topic").select_option(tables[0].topic)
        page.get_by_label("Why, for whoever finds it paused").fill("an index is built")
        go = page.locator("#ask-go")
        go.click()
        daemon.await_that(lambda: page.evaluate("1") and len(held) == 1, what="the question")
        page.get_by_label("Its topic").select_option(tables[1].topic)
        held[0].continue_()
        page.locator("#ask-says").filter(has_text="Looking").wait_for(state="detached")
        assert (page.inner_text("#ask-says"), page.inner_text("#ask-go")) == ("", "What will happen?")
        page.unroute("**/actions/pause")
        go.click()
        views.first.await_text(f"public.others (topic {tables[1].topic}) will be held", "#ask-says")
        go.click()
        views.first.await_text(f"public.others (topic {tables[1].topic}) is paused", "#done")
        page.locator("#each summary").click()
        views.first.await_text("paused by ada", "#tables td")
        views.first.check("done")
        daemon.stop()
    finally:
        views.close()
