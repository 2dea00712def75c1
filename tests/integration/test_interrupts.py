"""^C: a command that changes something ends between two of its steps, and goes on from there."""

import json
import os
import signal
import subprocess

import pytest
from lib.records import Table, pipeline
from lib.sink import assert_clean, free_port
from lib.waiting import wait_for


def rows(table, numbers):
    return [table.create({"id": number, "name": "one", "amount": 1}) for number in numbers]


def begin(sink, *arguments, stdin=None):
    return subprocess.Popen([sink.binary, *map(str, arguments)], stdin=stdin, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=sink.stack.environment())


def end(process, code):
    out, err = process.communicate(timeout=60)
    assert_clean(err)
    assert process.returncode == code, out + err
    return out, err


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_replay_keeps_whole_batches_and_goes_on(sink, database, number, code):
    """Records come through a pipe that stays open, so that the replay is in the middle of them."""
    table = Table()
    sink.write(pipeline(table), database=database, batch={"max_events": 10})
    process = begin(sink, "replay", "-c", sink.conf, "-", stdin=subprocess.PIPE)
    lines = [json.dumps(record) for record in rows(table, range(95))]
    process.stdin.write("\n".join(lines) + "\n")
    process.stdin.flush()
    wait_for(lambda: database.exists("items") and database.count("items") >= 10, 30, "some rows")
    process.send_signal(number)
    out, err = end(process, code)
    summary = json.loads(out)
    assert summary["applied"] == database.count("items") and summary["applied"] % 10 == 0
    assert "interrupted" in err
    again = sink.run("replay", "-c", sink.conf, "-", text="\n".join(lines) + "\n")
    assert json.loads(again.stdout)["skipped"] == summary["applied"]
    assert database.count("items") == 95


def test_waiting_for_a_target_ends_at_once(sink, stack):
    table = Table()
    sink.write(pipeline(table), targets=[{
        "name": "ods", "type": "postgres",
        "dsn": f"host=127.0.0.1 port={free_port()} dbname=x user=y"}])
    process = begin(sink, "replay", "-c", sink.conf, "--wait", "3000", sink.file_of(rows(table, [1])))
    wait_for(lambda: catches(process.pid, signal.SIGINT), 30, "the replay has begun")
    process.send_signal(signal.SIGINT)
    end(process, 130)


def test_dlq_replay_keeps_whole_letters_and_goes_on(sink, database, kafka, prefix, table):
    """Letters wait for a row that is locked; ^C meanwhile leaves the rest as it was."""
    letters = kafka.create(f"{prefix}.letters", 1)
    database.execute("create table items (id int primary key, name varchar(1), amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    kafka.produce(rows(table, range(20)))
    sink.write(pipeline(table), database=database, kafka=True, dead_letter={"topic": letters})
    daemon = sink.daemon()
    daemon.await_that(lambda: database.offsets() and
                      list(database.offsets().values()) == [20], what="20 letters")
    daemon.stop()
    database.execute("alter table items alter column name type text; "
                     "insert into items (id) values (7)")
    held = hold(database, "select * from items where id = 7 for update")
    process = begin(sink, "dlq", "replay", "-c", sink.conf, "--json")
    wait_for(lambda: database.count("items") == 8, 30, "those before the locked row")
    process.send_signal(signal.SIGINT)
    held.close()
    out, _ = end(process, 130)
    replayed = json.loads(out)["replayed"]
    assert replayed == 8, "the one that waited is finished, the next is not begun"
    done = sink.run("dlq", "replay", "-c", sink.conf, "--json")
    assert json.loads(done.stdout)["replayed"] == 20 - replayed
    assert database.count("items") == 20


def test_a_second_one_ends_at_once(sink, database):
    table = Table()
    sink.write(pipeline(table), database=database)
    database.execute("create table items (id int primary key, name text, amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    held = hold(database, "lock table items")
    process = begin(sink, "replay", "-c", sink.conf, sink.file_of(rows(table, [1])))
    wait_for(lambda: waits_for_lock(database), 30, "the lock is waited for")
    process.send_signal(signal.SIGINT)
    wait_for(lambda: not pending(process.pid), 10, "the first one is taken")
    assert process.poll() is None, "the transaction is finished first"
    process.send_signal(signal.SIGINT)
    end(process, 130)
    held.close()
    # What was sent whole may still be committed, with its offset; half of it never is.
    wait_for(lambda: not others(database), 30, "its session is over")
    assert database.count("items") == len(database.offsets())


def hold(database, sql):
    """A connection whose transaction keeps what the statement locks until it is closed."""
    connection = database.connect()
    connection.autocommit = False
    connection.cursor().execute(sql)
    return connection


def waits_for_lock(database):
    return database.value("select count(*) from pg_locks where not granted")


def others(database):
    return database.value("select count(*) from pg_stat_activity where datname = current_database() "
                          "and pid <> pg_backend_pid()")


def status_of(pid, name):
    with open(f"/proc/{pid}/status") as status:
        return int(next(line for line in status if line.startswith(name)).split()[1], 16)


def catches(pid, number):
    return bool(status_of(pid, "SigCgt") >> (number - 1) & 1) and os.path.exists(f"/proc/{pid}")


def pending(pid):
    return status_of(pid, "ShdPnd")
