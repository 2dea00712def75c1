"""scripts/soak in seconds: it breaks, compares, scrapes; and what it calls growth."""

import os
import random
import xml.etree.ElementTree

import pytest
import soak
import soak_report

from chaos.sourced_world import SourcedWorld


def test_a_short_soak(stack, kafka, database, binary, prefix, tmp_path, report):
    seed = int(os.environ.get("ODS_FAULT_SEED") or random.randrange(10**9))
    report(f"ODS_FAULT_SEED={seed}")
    stack.up("toxiproxy")
    world = SourcedWorld(stack, kafka, database, binary, tmp_path, prefix, seed, proxied=True, rate=400, every="1s")
    try:
        samples, scrapes, done, verified, own, verdict = soak.soak(world, 0.15, every=2, calm_s=1)
    finally:
        world.close()
    assert verdict.exact, verdict.examples
    assert done and len(verified) == len(done) + 1 and all(one["exact"] for one in verified)
    assert verified[0]["rows"] > 100
    assert own[-1]["rows"] > 100 and own[-1]["equal"] == own[-1]["tables"] == 3
    assert len(scrapes) == len(samples) > 0
    assert any(name.startswith("ods_sink_changes_total") for name in scrapes[-1]["metrics"])
    assert samples[-1]["applied"] > 0 and samples[-1]["rss_mb"] > samples[-1]["mapped_mb"] + 5 > 10


def an_hour(leak_percent, noise=0.0):
    """A sample every five seconds, with bursts now and then, as faults make them."""
    choose = random.Random(1)
    return [{**dict.fromkeys(soak.MEASURES, 20), "second": second, "applied": second * 2000, "records": 0,
             "rss_mb": 80 + (25 if number % 6 == 0 else 0),
             "heap_mb": 20 + 80 * leak_percent / 100 * second / 3600 + choose.uniform(-noise, noise)
             + (5 if number % 6 == 0 else 0)} for number, second in enumerate(range(600, 4200, 5))]


@pytest.mark.parametrize("percent, grew", [(0.0, []), (0.5, []), (-3.0, []), (2.0, ["heap_mb"]),
                                           (20.0, ["heap_mb"])])
def test_a_slow_leak_is_seen_and_bursts_are_not(percent, grew):
    growth = soak.grown(an_hour(percent, noise=1.0))
    assert soak_report.grew(growth) == grew
    assert growth["heap_mb"]["percent"] == pytest.approx(percent, abs=0.4, rel=0.2)


def test_what_the_kernel_maps_of_files_is_no_growth():
    samples = [{**one, "rss_mb": one["rss_mb"] + number / 100, "mapped_mb": 20 + number / 100}
               for number, one in enumerate(an_hour(0.0))]
    assert soak.grown(samples)["rss_mb"]["percent"] == pytest.approx(0, abs=0.01)


def test_resident_memory_that_grows_by_far_is_seen():
    samples = [{**one, "rss_mb": one["rss_mb"] + number / 10} for number, one in enumerate(an_hour(0.0))]
    assert soak_report.grew(soak.grown(samples)) == ["rss_mb"]


@pytest.mark.parametrize("leaks", [0, 20])
def test_what_comes_and_goes_is_no_growth(leaks):
    """A comparison has descriptors for as long as it takes, here oftener towards the end."""
    samples = [{**one, "descriptors": 44 + 14 * (number % 10 < 3 + number // 180) + leaks * number // 720}
               for number, one in enumerate(an_hour(0.0))]
    assert soak_report.grew(soak.grown(samples)) == (["descriptors"] if leaks else [])


def test_the_plot_and_the_page():
    samples = an_hour(0.0)
    data = {"day": "2026-01-31", "seed": 1, "warm_s": 600, "records": 7_200_000, "samples": samples,
            "faults": [{"second": 900, "fault": "scale"}], "exact": True,
            "verified": [{"second": 900, "rows": 10, "exact": True}], "growth": soak.grown(samples)}
    drawn = xml.etree.ElementTree.fromstring(soak_report.plot(data))
    lines = [one for one in drawn.iter() if one.tag.endswith("polyline")]
    assert len(lines) == len(soak_report.PANELS)
    assert "**equal each time**" in soak_report.section(data)
    assert soak_report.thin(samples, 100)[0] == samples[0] and len(soak_report.thin(samples, 100)) <= 100


def test_the_page_is_what_was_measured():
    if soak_report.DATA.exists():
        data = soak_report.json.loads(soak_report.DATA.read_text())
        page = soak_report.PAGE.read_text()
        assert soak_report.render(data, page) == page, "run tests/fault/soak_report.py"
        assert soak_report.plot(data) == soak_report.PLOT.read_text()
