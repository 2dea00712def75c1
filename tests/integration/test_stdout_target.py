"""The stdout target: lines for looking."""

import json
import subprocess

from lib.records import Table, pipeline, row


def lines_of(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"op"')]


def test_a_daemon_prints_changes(sink, kafka):
    table = Table("printed")
    kafka.create(table.topic)
    kafka.produce([table.create(row(number), partition=number % 4) for number in range(200)])
    sink.write({**pipeline(table), "lanes": 2}, kafka=True,
               targets=[{"name": "ods", "type": "stdout"}])
    daemon = sink.daemon().await_ready()  # its log goes to the same file
    daemon.await_that(lambda: len(lines_of(daemon.log())) == 200)
    daemon.stop()
    assert sorted(line["key"]["id"] for line in lines_of(daemon.log())) == list(range(200))


def test_a_reader_that_has_gone_stops_it(sink):
    """And one that stands still does not keep it from ending."""
    table = Table()
    sink.write(pipeline(table), targets=[{"name": "ods", "type": "stdout"}])
    records = sink.file_of([table.create(row(number)) for number in range(20_000)])
    command = [sink.binary, "replay", "-c", sink.conf, records]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=sink.stack.environment()) as process:
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(60) != 0 and "standard output: Broken pipe" in said


def test_setup_has_nothing_to_look_at_there(sink, kafka):
    table = Table("announced")
    kafka.create(table.topic)
    kafka.produce([table.create(row(1))])
    sink.write(pipeline(table), kafka=True, targets=[{"name": "ods", "type": "stdout"}])
    said = sink.run("setup", "-c", sink.conf, "--yes", "--wait", "20").stdout
    assert "target ods needs nothing beforehand" in said
    assert "with records: 1" in said
