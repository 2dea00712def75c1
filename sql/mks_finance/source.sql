-- The three tables of the finance source, in MySQL 8. Runs again without harm.
--
-- Types are those whose way through Debezium differs: decimals of several scales, a datetime in
-- seconds and one in microseconds (both without a zone), a timestamp (which has one), an enum with
-- a default, tinyint(1). Columns that are null and have a default show whether the connector keeps
-- NULL apart from the default.

create database if not exists mks_finance_dw character set utf8mb4;
use mks_finance_dw;

create table if not exists customers (
    customer_id    int auto_increment primary key,
    full_name      varchar(100) not null,
    email          varchar(120),
    phone          varchar(20),
    date_of_birth  date,
    monthly_income decimal(15,2),
    created_at     datetime default current_timestamp,
    updated_at     timestamp(3) null
);

create table if not exists credit_applications (
    application_id     int auto_increment primary key,
    customer_id        int not null,
    loan_amount        decimal(15,2),
    tenure_months      smallint,
    interest_rate      decimal(5,2),
    application_status enum('pending','approved','rejected') default 'pending',
    application_date   date,
    approved_at        datetime(6)
);

create table if not exists vehicle_ownership (
    ownership_id   int auto_increment primary key,
    customer_id    int not null,
    vehicle_type   varchar(40),
    brand          varchar(40),
    purchase_price decimal(15,2),
    purchase_date  date,
    is_active      tinyint(1) default 1
);
