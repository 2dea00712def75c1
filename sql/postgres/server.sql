-- What `ods-sink check --connect` says of the server. $1: the sink's own schema; is it there, and may the
-- user make it, or what it lacks?
select current_setting('server_version'), current_user, current_database(), pg_is_in_recovery(),
       n.oid is not null,
       coalesce(pg_has_role(n.nspowner, 'USAGE'), has_database_privilege(current_database(), 'CREATE'))
  from (select $1::text as name) own left join pg_namespace n on n.nspname = own.name;
