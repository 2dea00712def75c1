-- Begin a run, or go on with one that was broken off: how far it came. $1: consumer group, $2: worker.
insert into ods_sink.verify_runs as v (consumer_group, worker, began_at)
values ($1, $2, clock_timestamp())
on conflict (consumer_group) do update
   set worker = excluded.worker, began_at = coalesce(v.began_at, excluded.began_at),
       failed_at = null, failure = null
returning progress, (extract(epoch from began_at) * 1000000)::bigint;
