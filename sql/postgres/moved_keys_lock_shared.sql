-- A lane without a changed key in its batch waits for one that has. $1: consumer group.
select pg_catalog.pg_advisory_lock_shared(723549820, pg_catalog.hashtext($1));
