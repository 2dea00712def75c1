-- The run has broken off, and is gone on with later. $1: consumer group, $2: why.
update ods_sink.verify_runs set failed_at = clock_timestamp(), failure = $2
 where consumer_group = $1;
