-- The same rows in PostgreSQL, by a consumer group of its own.
create table if not exists orders (
    id bigint primary key,
    customer text not null,
    amount numeric(12,2),
    quantity integer,
    status text not null,
    paid smallint,
    due date,
    created_at timestamp,
    updated_at timestamp(3),
    note text,
    payload jsonb,
    flag text,
    sync_at timestamp(6)
);
