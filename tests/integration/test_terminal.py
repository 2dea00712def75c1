"""What commands show on a terminal: tables that fit, colours there alone, nothing that moves the
cursor. A daemon is played, whose answers are known."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from lib.terminal import shown, width

NAMES = ["orders", "顧客データ", "naïve", "\x1b[31mred\nline\t\u202eevil\u0007"]


@pytest.fixture
def daemon():
    """The address of one whose pipelines have names of all sorts."""
    lanes = [{"pipeline": name, "lane": number, "state": state, "joined": True,
              "kafka_reachable": True, "target_reachable": number != 1, "records": 10 ** number,
              "rejected": 0, "last_commit_at": 1000.0, "last_error": "it said \x1b[2Jbye",
              "partitions": [{"topic": f"shop.{name}." + "t" * 70, "partition": 0, "lag": 7,
                              "applied": 1, "end": 8, "state": "active"}]}
             for number, (name, state) in enumerate(zip(
                 NAMES, ["caught up", "stopped", "waiting", "behind"], strict=True))]
    pages = {"/status": json.dumps({"version": "1", "now": 1000.5, "lanes": lanes}),
             "/readyz": "ready\n", "/healthz": "ok\n"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = pages[self.path].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def status(binary, daemon, *options, **terminal):
    text, code = shown([binary, "status", "--url", daemon, "--partitions", *options], **terminal)
    assert code == 0, text
    return text


def test_tables_fit_the_terminal(binary, daemon):
    wide = status(binary, daemon, "--color=never", columns=160)
    assert "t" * 70 in wide and "…" not in wide
    for columns in (120, 100, 80, 60, 40):
        lines = status(binary, daemon, "--color=never", columns=columns).splitlines()
        table = [line for line in lines if not line.startswith(("ods-sink", "last error"))]
        too_wide = [line for line in table if width(line) > columns]
        # A row that becomes a block of lines is not cut: the terminal goes on in the next line.
        assert all(re.match(r"[A-Z ]+  \S", line) for line in too_wide), too_wide
    assert "…" in status(binary, daemon, columns=90), "a long topic is cut"
    usual = status(binary, daemon, "--color=never", columns=80)
    assert re.search(r"^PIPELINE .* COMMITTED$", usual, re.MULTILINE), "80 columns have a table"
    assert "TOPIC      shop.orders." in status(binary, daemon, columns=40, env={"NO_COLOR": "1"})


def test_columns_names_the_width(binary, daemon):
    assert "…" in status(binary, daemon, columns=160, env={"COLUMNS": "90"})
    assert "…" not in status(binary, daemon, columns=90, env={"COLUMNS": "160"})


def test_columns_stand_below_each_other(binary, daemon):
    lines = status(binary, daemon, "--color=never", columns=160).splitlines()
    head = next(line for line in lines if line.startswith("PIPELINE"))
    rows = lines[lines.index(head) + 1:lines.index(head) + 5]
    place = head.index("STATE")
    for row, state in zip(rows, ["caught up", "stopped", "waiting", "behind"], strict=True):
        assert width(row[:row.index(state)]) == place, lines


def test_what_is_piped_is_whole_and_plain(sink, daemon):
    text = sink.run("status", "--url", daemon, "--partitions", env={"COLUMNS": "40"}).stdout
    assert "t" * 70 in text and "\x1b" not in text and "…" not in text


def test_nothing_of_a_value_reaches_the_terminal_raw(sink, binary, daemon):
    for text in (status(binary, daemon, "--color=never", columns=160),
                 sink.run("status", "--url", daemon).stdout):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
        assert r"\x1b[31mred\nline\t\u202eevil\x07" in text
        assert r"it said \x1b[2Jbye" in text


@pytest.mark.parametrize("options, env, colored", [
    ([], {}, True), ([], {"NO_COLOR": "1"}, False), ([], {"TERM": "dumb"}, False),
    (["--color=never"], {}, False), (["--color", "always"], {"NO_COLOR": "1"}, True),
    (["--color=auto"], {}, True)], ids=str)
def test_colours(binary, daemon, options, env, colored):
    assert ("\x1b[1mPIPELINE" in status(binary, daemon, *options, columns=160, env=env)) == colored


def test_no_colour_without_a_terminal(sink, daemon):
    assert "\x1b" not in sink.run("status", "--url", daemon, env={"TERM": "xterm"}).stdout
    assert "\x1b[" in sink.run("status", "--url", daemon, "--color=always").stdout
    assert "\x1b" not in sink.run("status", "--url", daemon, "--json", "--color=always").stdout


def test_health_as_json(sink, daemon):
    healthy = sink.run("status", "--url", daemon, "--health", "--json").stdout
    assert json.loads(healthy) == {"healthy": True, "why": None}


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("words", [["--help"], ["help", "dlq"], ["dlq", "list", "--help"]],
                         ids=" ".join)
def test_help_fits_too(binary, words, columns):
    text, code = shown([binary, *words, "--color=never"] if "--help" in words else
                       [binary, *words], columns=columns, env={"NO_COLOR": "1"})
    assert code == 0
    lines = [line for line in text.splitlines() if "ods-sink " not in line]
    # One word may be longer than what is left.
    assert all(width(line) <= columns or len(line.split()) <= 3 for line in lines), text
