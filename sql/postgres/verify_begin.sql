-- Begin a run, or go on with one that was broken off: how far it came. What it found too long ago does
-- not count any more. $1: consumer group, $2: worker, $3: how old it may be, in milliseconds.
insert into ods_sink.verify_runs as v (consumer_group, worker, began_at)
values ($1, $2, clock_timestamp())
on conflict (consumer_group) do update
   set worker = excluded.worker,
       progress = case when v.began_at > clock_timestamp() - $3::bigint * interval '1 ms'
                       then v.progress end,
       began_at = case when v.began_at > clock_timestamp() - $3::bigint * interval '1 ms'
                       then v.began_at else excluded.began_at end,
       failed_at = null, failure = null
returning progress, (extract(epoch from began_at) * 1000000)::bigint;
