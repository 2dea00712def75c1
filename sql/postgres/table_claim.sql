-- Enter a source for a table of the target; NULL, or whose the table is already. A topic that brings
-- rows of it is noted with it.
-- $1: schema, $2: table, of the target; $3: database, $4: schema, $5: table, of the source;
-- $6: may the table be shared? $7: consumer group, $8: topic.
with claim as materialized (select ods_sink.claim_table($1, $2, $3, $4, $5, $6) as other),
     noted as (insert into ods_sink.topic_tables
                 (consumer_group, topic, source_database, source_schema, source_table,
                  table_schema, table_name)
               select $7, $8, $3, $4, $5, $1, $2 from claim where other is null
               on conflict do nothing)
select other from claim;
