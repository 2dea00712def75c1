-- Lanes and processes that make or change tables take turns. The lock, which also guards the making
-- of the sink's own schema, is given up when the transaction ends.
select pg_catalog.pg_advisory_xact_lock(7235498201);
