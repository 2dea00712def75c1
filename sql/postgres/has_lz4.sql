-- A row where the server can compress columns by lz4 (PostgreSQL 14 or later, built with it).
select 1 from pg_catalog.pg_settings
where name = 'default_toast_compression' and 'lz4' = any (enumvals);
