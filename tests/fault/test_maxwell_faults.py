"""The way of scripts/demo maxwell, from MySQL through two pipelines into MySQL and PostgreSQL, while
servers and processes fail: nothing is lost and nothing there twice, between and at both ends."""

import importlib.machinery
import importlib.util
import os
import random
import signal
import socket
import time
from types import SimpleNamespace

import pytest
from conftest import ROOT
from lib.sink import free_port
from lib.size import FULL, size
from lib.waiting import wait_for

SEED = int(os.environ.get("ODS_FAULT_SEED", time.time()))


@pytest.fixture
def demo(stack, database, binary, tmp_path, prefix, monkeypatch):
    """The program as a module, on the tests' servers."""
    stack.up("postgres", "mysql", "kafka")
    url = database.dsn.replace("${ODS_STACK_POSTGRES_PASSWORD}", stack["POSTGRES_PASSWORD"])
    for name, value in {**stack.env, "ODS_DEMO_BINARY": str(binary), "ODS_DEMO_FOLDER": str(tmp_path),
                        "ODS_STACK_POSTGRES_URL": url, "ODS_DEMO_GROUP": prefix,
                        "ODS_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(ROOT / "scripts")
    loader = importlib.machinery.SourceFileLoader("demo_maxwell", str(ROOT / "scripts/demo-maxwell"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("demo_maxwell", loader))
    loader.exec_module(module)
    if not FULL:
        module.FIRST_ROWS = 300
        monkeypatch.setattr(module.Source, "change", slower(module.Source.change))
    yield module
    root = module.mysql(None, unix_socket=stack["MYSQL_SOCKET"], user="root", password="")
    for statement in ("drop database if exists app_producer", "drop database if exists app_consumer",
                      "set global binlog_row_metadata = MINIMAL",
                      "set global log_bin_trust_function_creators = 0"):
        module.ask(root, statement)
    root.close()


def slower(change):
    """About a hundred transactions a second, also while a server starts, instead of all that MySQL takes."""
    def paced(source):
        change(source)
        time.sleep(0.01)

    return paced


def faults_of(stack, demo):
    def kill_server(part):
        os.kill(stack.pid(part), signal.SIGKILL)
        port = int(stack[f"{part.upper()}_PORT"])
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)), 60, f"the end of {part}")
        stack.run("up", part)

    def kill_daemon(daemon):
        demo.kill(daemon)

    def kill_kafka(_):
        kill_server("kafka")

    def kill_postgres(_):
        kill_server("postgres")

    def restart_daemon(daemon):
        daemon.stop()
        daemon.start()

    def end_sessions(_):
        """Those of the MySQL target, in the middle of a statement; the demo's own one is idle."""
        root = demo.mysql(None, unix_socket=stack["MYSQL_SOCKET"], user="root", password="")

        def busy():
            return demo.ask(root, "select id from information_schema.processlist where "
                            "db = 'app_consumer' and user = 'app_user' and command <> 'Sleep'")

        for number, in wait_for(busy, 60, "a statement of the MySQL target", interval_s=0.001):
            demo.ask(root, f"kill {number}")
        root.close()

    def stopped_process(daemon):
        """Beyond the session's time-out: another one takes over, and the first writes nothing more."""
        zombie = daemon.process
        zombie.send_signal(signal.SIGSTOP)
        os.environ["ODS_HTTP_LISTEN"] = f"127.0.0.1:{free_port()}"
        daemon.start()
        time.sleep(12)
        zombie.send_signal(signal.SIGCONT)
        time.sleep(1)
        zombie.kill()
        zombie.wait()

    return [kill_daemon, kill_kafka, end_sessions, restart_daemon, kill_postgres, stopped_process]


def test_from_mysql_to_mysql(demo, stack, report, capsys):
    choose, faults = random.Random(f"maxwell {SEED}"), faults_of(stack, demo)
    count = size("MAXWELL_FAULTS", 1, 18)
    chosen = choose.sample(faults, min(count, len(faults)))
    chosen += choose.choices(faults, k=count - len(chosen))
    seconds = 1 + count
    told = SimpleNamespace(seconds=seconds, probes=5, keep=None)
    good = demo.show(told, chosen)
    said = capsys.readouterr().out
    print(said)
    report(f"ODS_FAULT_SEED={SEED}: {len(chosen)} faults;" + said.split("changes, each once")[1].split(
        "set aside")[0].replace("\n", ";"))
    assert good, said + (demo.FOLDER / "ods-sink.log").read_text()[-3000:]
