-- The run has ended. $1: consumer group, $2: its report.
update ods_sink.verify_runs
   set last_began_at = began_at, last_ended_at = clock_timestamp(), report = $2, began_at = null,
       progress = null
 where consumer_group = $1;
