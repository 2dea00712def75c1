"""The drills of scripts/ha on docs/operations.md: the table says what docs/ha.json says, of the drills that there are."""

import json

import ha
import ha_report
import pytest


def test_the_page_is_what_was_measured():
    data, page = json.loads(ha_report.DATA.read_text()), ha_report.PAGE.read_text()
    assert list(data["drills"]) == list(ha.DRILLS), "a drill was not run, or is none any more: scripts/ha --publish DRILL"
    assert ha_report.render(data, ha.DRILLS, page) == page, "not what docs/ha.json says: scripts/ha --publish DRILL"


def test_a_partition_that_stands_still_is_not_made_up_for_by_others():
    waiting = ha.Waiting()
    assert waiting.age(0.0, {("t", 0): 10, ("t", 1): 10}, {("t", 0): 10, ("t", 1): 10}) == 0
    assert waiting.age(1.0, {("t", 0): 20, ("t", 1): 20}, {("t", 0): 20, ("t", 1): 10}) == 0, "it has only just come"
    assert waiting.age(3.0, {("t", 0): 90, ("t", 1): 20}, {("t", 0): 90, ("t", 1): 10}) == 2
    assert waiting.age(4.0, {("t", 0): 95, ("t", 1): 30}, {("t", 0): 90, ("t", 1): 20}) == 0, "the others have only just come"
    assert waiting.age(5.0, {("t", 0): 99, ("t", 1): 30}, {("t", 0): 99, ("t", 1): 20}) == 1, "since they were seen at first"
    assert waiting.age(6.0, {("t", 0): 99, ("t", 1): 30}, {("t", 0): 99, ("t", 1): 30}) == 0


RESULT = {"records": 6526, "lost": 0, "rewritten": 0, "wrong": 0, "recovery_s": {"most": 2.61}, "remarks": "a remark"}


@pytest.fixture
def files(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{ha_report.BEGIN}\n{ha_report.END}\nafter\n")
    return tmp_path / "ha.json", page


def test_what_a_run_did_not_repeat_stays(files):
    data, page = files
    ha_report.publish({"restore": ha_report.kept(RESULT, 1, 500, "abc")}, ha.DRILLS, *files)
    ha_report.publish({"daemons": ha_report.kept({**RESULT, "recovery_s": {"most": 4}}, 2, 500, "abc")}, ha.DRILLS, *files)
    assert list(json.loads(data.read_text())["drills"]) == ["daemons", "restore"]
    assert "`scripts/ha restore` | 6,526 | 0 | 0 | 0 | 2.6 | a remark |" in page.read_text()
    assert "`scripts/ha daemons` | 6,526 | 0 | 0 | 0 | 4.0 |" in page.read_text()
    assert "`scripts/ha --previous COMMIT versions` | not run yet |" in page.read_text()
    assert "ODS_FAULT_SEED=`1`, `2`, commit `abc`; **nothing lost" in page.read_text()
    ha_report.publish({"restore": ha_report.kept(RESULT, 1, 500, "/usr/bin/ods-sink")}, ha.DRILLS, *files)
    assert "ODS_FAULT_SEED=`1`, `2`, `/usr/bin/ods-sink`, commit `abc`; **nothing lost" in page.read_text()
    assert page.read_text().startswith("before\n") and page.read_text().endswith("\nafter\n")


@pytest.mark.parametrize("what, shown", [
    ({"lost": 3}, "| 6,526 | 3 | 0 | 0 |"), ({"twice": 1, "rewritten": 1}, "| 6,526 | 0 | 2 | 0 |"),
    ({"wrong": 1}, "| 6,526 | 0 | 0 | 1 |"), ({"letters_lost": 2}, "a remark; dead letters: 2 lost |")])
def test_what_is_not_exact_is_told(files, what, shown):
    ha_report.publish({"daemons": ha_report.kept({**RESULT, **what}, 1, 500, "abc")}, ha.DRILLS, *files)
    assert shown in files[1].read_text() and "**not exact" in files[1].read_text()
    assert not ha.is_exact({**RESULT, **what})
