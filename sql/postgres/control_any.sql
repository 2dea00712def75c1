-- Is one of these topics held? $1: consumer group, $2: topics, as an array's text.
select exists (select from ods_sink.table_control
               where consumer_group = $1 and topic = any ($2::text[]) and state <> 'running');
