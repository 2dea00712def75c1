-- Take out what is known of comparisons with the source. $1: consumer group.
delete from ods_sink.verify_runs where consumer_group = $1;
