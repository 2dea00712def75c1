#!/bin/bash
# Run once by the image of MySQL, on an empty server: the user as which Maxwell reads the log, and who
# keeps its own tables in the database maxwell; the application's rights.
set -euo pipefail
MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --protocol=socket -u root <<SQL
create user 'maxwell'@'%' identified with mysql_native_password by '$MYSQL_MAXWELL_PASSWORD';
grant all on maxwell.* to 'maxwell'@'%';
grant select, replication slave, replication client on *.* to 'maxwell'@'%';
SQL
