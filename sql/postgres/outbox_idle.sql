-- End the session when it has said nothing for so many milliseconds (PostgreSQL 14). $1: how many.
select pg_catalog.set_config('idle_session_timeout', $1, false);
