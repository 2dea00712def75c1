-- Give up the lock of moved_keys_lock.sql or moved_keys_lock_shared.sql, which outlives its
-- transaction. $1: consumer group, $2: it was the former.
select case when $2::boolean
            then pg_catalog.pg_advisory_unlock(723549820, pg_catalog.hashtext($1))
            else pg_catalog.pg_advisory_unlock_shared(723549820, pg_catalog.hashtext($1)) end;
