-- The operational data store of the finance source, in PostgreSQL. Runs again without harm, as the
-- owner of the database.
--
-- Each table mirrors its source and adds the last change's operation and its time at the source.
-- There are no foreign keys: each topic arrives in its own order, so an application may be here
-- before its customer. Types follow what Debezium delivers by default:
--
--   decimal(p,s)  numeric(p,s)             datetime, datetime(3)  timestamp(3), no zone
--   date          date                     datetime(6)            timestamp(6), no zone
--   enum          text                     timestamp(n)           timestamptz(n)
--   tinyint(1)    smallint

set client_min_messages = warning; -- "already exists, skipping" is no news

create table if not exists customers (
    customer_id    integer primary key,
    full_name      varchar(100) not null,
    email          varchar(120),
    phone          varchar(20),
    date_of_birth  date,
    monthly_income numeric(15,2),
    created_at     timestamp(3),
    updated_at     timestamptz(3),
    cdc_operation  char(1) not null check (cdc_operation in ('c', 'u', 'd', 'r')),
    cdc_timestamp  timestamptz not null
);

create table if not exists credit_applications (
    application_id     integer primary key,
    customer_id        integer not null,
    loan_amount        numeric(15,2),
    tenure_months      smallint,
    interest_rate      numeric(5,2),
    application_status text,
    application_date   date,
    approved_at        timestamp(6),
    cdc_operation      char(1) not null check (cdc_operation in ('c', 'u', 'd', 'r')),
    cdc_timestamp      timestamptz not null
);

create table if not exists vehicle_ownership (
    ownership_id   integer primary key,
    customer_id    integer not null,
    vehicle_type   varchar(40),
    brand          varchar(40),
    purchase_price numeric(15,2),
    purchase_date  date,
    is_active      smallint,
    cdc_operation  char(1) not null check (cdc_operation in ('c', 'u', 'd', 'r')),
    cdc_timestamp  timestamptz not null
);

-- For the joins from a customer and for the questions asked of each table.
create index if not exists customers_email on customers (email);
create index if not exists credit_applications_customer on credit_applications (customer_id);
create index if not exists credit_applications_status
    on credit_applications (application_status, application_date);
create index if not exists vehicle_ownership_customer on vehicle_ownership (customer_id);

-- For "what changed since". Changes come nearly in the order of their time, so a block range index
-- serves it at almost no cost to each write.
create index if not exists customers_changed on customers using brin (cdc_timestamp);
create index if not exists credit_applications_changed
    on credit_applications using brin (cdc_timestamp);
create index if not exists vehicle_ownership_changed
    on vehicle_ownership using brin (cdc_timestamp);

comment on table customers is 'mks_finance_dw.customers, kept up to date by ods-sink';
comment on table credit_applications is
    'mks_finance_dw.credit_applications, kept up to date by ods-sink';
comment on table vehicle_ownership is
    'mks_finance_dw.vehicle_ownership, kept up to date by ods-sink';

comment on column customers.cdc_operation is
    'last change of the row: c created, u updated, d deleted, r read by the snapshot';
comment on column credit_applications.cdc_operation is
    'last change of the row: c created, u updated, d deleted, r read by the snapshot';
comment on column vehicle_ownership.cdc_operation is
    'last change of the row: c created, u updated, d deleted, r read by the snapshot';
comment on column customers.cdc_timestamp is 'when the source made that change';
comment on column credit_applications.cdc_timestamp is 'when the source made that change';
comment on column vehicle_ownership.cdc_timestamp is 'when the source made that change';
