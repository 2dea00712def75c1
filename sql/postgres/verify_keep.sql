-- How far the run has come. $1: consumer group, $2: its state.
update ods_sink.verify_runs set progress = $2 where consumer_group = $1;
