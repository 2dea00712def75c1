-- The source of examples/maxwell, in MySQL: what Maxwell reads.
create database if not exists app_producer character set utf8mb4;
drop table if exists app_producer.orders;
create table app_producer.orders (
    id int unsigned auto_increment primary key,
    customer varchar(100) not null,
    amount decimal(12,2),
    quantity int,
    status enum('new', 'paid', 'shipped') not null default 'new',
    paid tinyint(1),
    due date,
    created_at timestamp null default current_timestamp,
    updated_at datetime(3),
    note text,
    payload json
);
