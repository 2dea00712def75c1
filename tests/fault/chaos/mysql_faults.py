"""What may happen to the MySQL target. See faults.py."""

import time

from .faults import ANY_TARGET, FAULTS, Fault, network, remember

MYSQL_FAULTS = {name: FAULTS[name] for name in ANY_TARGET}
network("mysql", "MySQL", MYSQL_FAULTS)


def fault(text, whole, **more):
    def keep(function):
        name = function.__name__
        MYSQL_FAULTS[name] = Fault(name, text, function, whole, **more)
        return function
    return keep


def stopped(world, hard, choose):
    world.strike()
    world.mysql.close()
    world.server.stop(hard)
    time.sleep(choose.random())
    world.server.start()


@fault("MySQL: restart", 10)
def mysql_restart(world, choose):
    stopped(world, False, choose)


@fault("MySQL: `kill -9` of the server (crash recovery)", 10)
def mysql_killed(world, choose):
    stopped(world, True, choose)


def sessions(world):
    return [number for number, in world.query(
        "select id from information_schema.processlist where user = 'app'")]


def kill(world, kind):
    for number in sessions(world):
        try:
            world.query(f"kill {kind} {number}")
        except Exception:  # pylint: disable=broad-except; it has ended by itself
            pass


@fault("MySQL: all sessions killed", 50)
def sessions_killed(world, choose):
    world.strike()
    time.sleep(choose.random() * 0.02)
    kill(world, "connection")


@fault("MySQL: statement killed", 30)
def statements_killed(world, choose):
    world.strike()
    for _ in range(5):
        kill(world, "query")
        time.sleep(choose.random() * 0.01)


@fault("MySQL: rows locked beyond the sink's `lock_timeout_ms`", 10)
def rows_locked(world, choose):
    world.strike()
    blocker = world.server.connect("faults")
    try:
        blocker.autocommit(False)
        table = choose.choice(["items", "orders", "documents", "ods_sink_offsets"])
        with blocker.cursor() as cursor:
            cursor.execute("set innodb_lock_wait_timeout = 60")
            cursor.execute(f"select * from {table} for update")
        time.sleep(3 + choose.random())
    finally:
        blocker.close()


@fault("MySQL: a table locked (`lock tables … write`)", 10)
def table_locked(world, choose):
    world.strike()
    blocker = world.server.connect("faults")
    try:
        with blocker.cursor() as cursor:
            cursor.execute("lock tables events write")
        time.sleep(2 + choose.random())
    finally:
        blocker.close()


@fault("MySQL: read-only (as after a failover)", 10)
def mysql_read_only(world, choose):
    undo = remember(world, lambda: world.query("set global read_only = 0"))
    world.strike()
    world.query("set global read_only = 1")
    time.sleep(1 + choose.random())
    undo()
