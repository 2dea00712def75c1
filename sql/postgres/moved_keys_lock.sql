-- A lane with a changed key in its batch is alone until that is committed. The class of these
-- locks also stands in moved_keys_lock_shared.sql and end_stalled.sql. $1: consumer group.
select pg_catalog.pg_advisory_lock(723549820, pg_catalog.hashtext($1));
