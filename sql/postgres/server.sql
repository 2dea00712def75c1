-- What `ods-sink check --connect` says of the server.
select current_setting('server_version'), current_user, current_database(), pg_is_in_recovery(),
       has_database_privilege(current_database(), 'CREATE');
