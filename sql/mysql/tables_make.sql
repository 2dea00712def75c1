-- Which groups write which tables, so that `reset` takes out what its group alone has brought: {} is
-- the table.
create table if not exists {} (
    consumer_group varchar(255) character set utf8mb4 collate utf8mb4_bin not null,
    table_schema varchar(64) character set utf8mb4 collate utf8mb4_bin not null,
    table_name varchar(64) character set utf8mb4 collate utf8mb4_bin not null,
    claimed_at timestamp(6) not null default current_timestamp(6),
    primary key (table_schema, table_name, consumer_group)
) engine = InnoDB comment = 'Tables that ods-sink writes: never change by hand; see ods-sink reset'
