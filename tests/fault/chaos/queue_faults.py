"""The faults of test_amqp_faults.py, of which docs/reliability.md tells."""

# How often each happens for a hundred kills.
QUEUE_FAULTS = {
    "kill_daemon": (100, "`kill -9` of the daemon"),
    "stop_daemon": (10, "orderly stop and start of the daemon"),
    "freeze_daemon": (10, "stopped (`SIGSTOP`) for up to 3 s, continued"),
    "cut": (20, "network to the broker cut up to five times: all that was on its way comes again"),
    "end_sessions": (10, "PostgreSQL: all sessions ended"),
    "restart_postgres": (3, "PostgreSQL: immediate stop (crash recovery)"),
    "fail_over": (6, "the broker is killed, its standby takes over; or back"),
}
