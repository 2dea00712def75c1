-- Give up the advisory locks of the session, those of moved_keys_lock.sql and
-- moved_keys_lock_shared.sql, which outlive their transaction.
select pg_catalog.pg_advisory_unlock_all();
