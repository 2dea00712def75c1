-- What a rule found of a table last time, for the next one to compare with; no row: nothing yet.
-- $1: consumer group, $2: rule, $3: target's table.
select facts from ods_sink.quality
 where consumer_group = $1 and rule = $2 and target_table = $3 and facts is not null
 order by began_at desc limit 1;
