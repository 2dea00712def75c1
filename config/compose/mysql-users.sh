#!/bin/bash
# Run once by the image of MySQL, on an empty database: the user as which Debezium reads.
set -euo pipefail
MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --protocol=socket -u root <<SQL
create user 'debezium'@'%' identified with mysql_native_password by '$MYSQL_DEBEZIUM_PASSWORD';
grant select, reload, show databases, lock tables, replication slave, replication client
   on *.* to 'debezium'@'%';
-- What ods-sink verify --repair and resync --snapshot ask for is marked here by the connector.
create table $MYSQL_DATABASE.debezium_signal (id varchar(64) primary key, type varchar(32), data text);
grant insert, delete on $MYSQL_DATABASE.debezium_signal to 'debezium'@'%';
SQL
