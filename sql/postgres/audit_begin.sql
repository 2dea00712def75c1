-- Somebody is about to do something: the row's number. It is on the disk when it is answered, whatever the
-- session says. $1: who, $2: from where, $3: action, $4: consumer group, $5: pipeline, $6: table, $7: topics,
-- as an array's text; $8: why.
insert into ods_sink.audit (who, origin, action, consumer_group, pipeline, table_name, topics, reason)
select $1, $2, $3, $4, $5, $6, $7::text[], $8
  from (select set_config('synchronous_commit', 'on', true)) waits
returning id;
