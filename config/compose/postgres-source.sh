#!/bin/bash
# Run once by the image of PostgreSQL, on an empty database: the user as which Debezium reads, and
# the publication that it reads. For all tables, also those to come, which only a superuser may say.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -v password="$POSTGRES_DEBEZIUM_PASSWORD" -U "$POSTGRES_USER" \
    -d "$POSTGRES_DB" <<'SQL'
create role debezium login replication password :'password';
grant pg_read_all_data to debezium;
create publication ods_source for all tables;
SQL
