-- As table_claim.sql, of a history: it has a source like any table, and orders, which are about the
-- table itself, know its topic by the table of the rows.
-- $1: schema, $2: table, of the history; $3: database, $4: schema, $5: table, of the source;
-- $6: may the table be shared? $7: consumer group, $8: topic; $9: schema, $10: table, of the rows.
with claimed as materialized (
    select ods_sink.claim_table($1, $2, $3, $4, $5, $6::boolean) as other),
noted as (
    insert into ods_sink.topic_tables (consumer_group, topic, source_database, source_schema,
                                       source_table, table_schema, table_name)
    select $7, $8, $3, $4, $5, $9, $10 from claimed c where c.other is null
        on conflict do nothing)
select c.other from claimed c;
