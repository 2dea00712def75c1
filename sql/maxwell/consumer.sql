-- The target of examples/maxwell, in MySQL: the source's columns, and what the pipeline stamps.
create database if not exists app_consumer character set utf8mb4;
drop table if exists app_consumer.orders;
create table app_consumer.orders (
    id int unsigned primary key,
    customer varchar(100) not null,
    amount decimal(12,2),
    quantity int,
    status enum('new', 'paid', 'shipped') not null,
    paid tinyint(1),
    due date,
    created_at datetime,
    updated_at datetime(3),
    note text,
    payload json,
    flag varchar(20),
    sync_at datetime(6)
);
