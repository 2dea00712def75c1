"""Targets beside PostgreSQL and files under the same load and faults; see test_faults.py. MySQL and Kafka (at
the source's own cluster, in JSON and in Avro) have each change once. HTTP is at least once: no change is lost, what must be sent
again has the same Idempotency-Key and the same bytes, and the changes of a key come in their order.
"""

import random
from dataclasses import dataclass, field

import pytest

from chaos import driver, faults
from chaos.http_faults import HTTP_FAULTS
from chaos.http_world import HttpWorld
from chaos.kafka_avro_faults import KAFKA_AVRO_FAULTS
from chaos.kafka_avro_world import KafkaAvroWorld
from chaos.kafka_world import KafkaWorld
from chaos.mysql_faults import MYSQL_FAULTS
from chaos.mysql_world import MysqlWorld
from conftest import build
from lib.mysql_target import Server
from lib.size import FULL, left_out, size
from test_faults import SEED, SHARE, WHOLE, assert_exact, keep, often


@dataclass(frozen=True)
class Kind:
    world: object
    faults: dict
    always: tuple  # in each short run, beside one of its own and a kill
    rate: int = driver.RATE
    own: list = field(default_factory=list)  # what only this target has


def kind_of(name, world, catalogue, always, rate=driver.RATE):
    own = [key for key in catalogue if key not in faults.FAULTS and not catalogue[key].needs]
    return Kind(world, catalogue, always, rate, own or ["restart_daemon", "scale"])


KINDS = {"http": kind_of("http", HttpWorld, HTTP_FAULTS, ("answer_lost",),
                         rate=200),  # each change is a request to a server in Python
         "kafka": kind_of("kafka", KafkaWorld, {name: faults.FAULTS[name] for name in faults.ANY_TARGET},
                          ("stopped_process",), rate=driver.RATE // 2),
         "kafka-avro": kind_of("kafka-avro", KafkaAvroWorld, KAFKA_AVRO_FAULTS,
                               ("killed_while_registering",), rate=driver.RATE // 2),
         **{flavour: kind_of(flavour, MysqlWorld, MYSQL_FAULTS, ("sessions_killed",),
                             rate=driver.RATE // 2) for flavour in ("mysql", "mariadb")}}


LEFT_OUT = left_out(SEED, ("mysql", "mariadb"), ("kafka", "kafka-avro"))


@pytest.fixture(scope="module")
def server_of():
    """A function that gives the server of this flavour, the same each time."""
    servers = {}

    def get(flavour):
        if flavour not in servers:
            servers[flavour] = Server(flavour)
        return servers[flavour]

    yield get
    for server in servers.values():
        server.close()


@pytest.fixture
def run(server_of, stack, kafka, tmp_path, prefix, report):
    """A function that runs faults in their order and answers what was measured."""
    def run_it(target, name, schedule, preset="release", **settings):
        program, kind = build(preset), KINDS[target]
        assert program.exists(), f"{program} is not built: scripts/test"
        print(f"{target} {name}: ODS_FAULT_SEED={SEED}")
        servers = [server_of(target)] if kind.world is MysqlWorld else []
        world = kind.world(*servers, stack, kafka, None, program, tmp_path, prefix, SEED,
                           **{"proxied": False, "rate": kind.rate, **settings})
        result = driver.run(world, f"{target} {name}", schedule)
        report(f"ODS_FAULT_SEED={SEED}: {result['injected']} × {name}, {result['records']} records,"
               f" {result['in_flight']['most']} in flight, recovered in "
               f"{result['recovery_s']['median']:.2f} s; lost {result['lost']}, twice "
               f"{result['twice'] + result['rewritten']}, wrong {result['wrong']}, came again "
               f"{result['repeats']}, {result['letters']} dead letters")
        keep(result)
        assert_exact(result)
        return result

    return run_it


@pytest.mark.skipif(WHOLE, reason="of the short run")
@pytest.mark.parametrize("target", KINDS)
def test_some_faults_under_the_sanitizers(run, target):
    if target in LEFT_OUT:
        pytest.skip("its like has its turn in this run (ODS_FAULT_SEED)")
    kind, choose = KINDS[target], random.Random(f"{target} {SEED}")
    names = [*kind.always, *choose.sample(kind.own, size("TARGET_FAULTS", 1, len(kind.own)))]
    names += ["kill_daemon"] * size("TARGET_KILLS", 1, 15)
    choose.shuffle(names)
    result = run(target, "short", [kind.faults[name] for name in names], preset="asan",
                 rate=max(kind.rate // 2, 100))
    assert result["repeats"] or target != "http"


@pytest.mark.skipif(not FULL, reason="of the long runs")
@pytest.mark.parametrize("target", KINDS)
def test_many_faults_in_a_random_order(run, target):
    choose = random.Random(f"{target} {SEED}")
    usual = [fault for fault in KINDS[target].faults.values()
             if not fault.alone and not faults.missing(fault)]
    run(target, "mixture", choose.choices(usual, k=int(60 * SHARE) if WHOLE else len(usual)),
        proxied=True)


@pytest.mark.skipif(not WHOLE, reason="of the whole run")
@pytest.mark.parametrize("target, name", [(target, name) for target, kind in KINDS.items()
                                          for name in kind.faults])
def test_fault_alone(run, tmp_path, target, name):
    fault = KINDS[target].faults[name]
    if reason := faults.missing(fault):
        pytest.skip(reason)
    settings = {"proxied": fault.needs == "proxy"}
    if name == "poison":
        settings.update(poison=20, rate=KINDS[target].rate // 2)
    if fault.needs == "clock":
        settings["env"] = faults.clock_environment(tmp_path)
    # A third of what PostgreSQL gets: the pipeline in front of the target is the same.
    run(target, name, [fault] * -(-often(fault) // 3), **settings)
