-- The median of what was counted in the same hour of the weeks before, and in how many of them. Of an
-- hour that was counted several times the first one counts, for rows that change later are no longer
-- in it. $1: consumer group, $2: rule, $3: target's table, $4: the hour, $5: how many weeks.
select percentile_cont(0.5) within group (order by h.measured), count(*)
  from (select distinct on (q.of_hour) q.measured
          from ods_sink.quality q, generate_series(1, $5::integer) as week
         where q.consumer_group = $1 and q.rule = $2 and q.target_table = $3 and not q.in_flight
           and q.of_hour = $4::timestamp with time zone - week * interval '7 days'
         order by q.of_hour, q.began_at) h;
