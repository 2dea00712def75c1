-- The stored offsets, beside the rows: {} is the table. Names are compared by their bytes.
create table if not exists {} (
    consumer_group varchar(255) character set utf8mb4 collate utf8mb4_bin not null,
    topic varchar(249) character set utf8mb4 collate utf8mb4_bin not null,
    `partition` int not null,
    next_offset bigint not null,
    updated_at timestamp(6) not null default current_timestamp(6) on update current_timestamp(6),
    primary key (consumer_group, topic, `partition`)
) engine = InnoDB comment = 'Offsets of ods-sink: never change by hand; see ods-sink reset'
