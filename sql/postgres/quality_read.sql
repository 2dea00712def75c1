-- The last results of each rule and table, the newest first, as JSON. $1: consumer group, $2: how
-- many of each. Each rule and table is found by one step in the index, whatever the history is. Left
-- out are results of a table that was not there yet, once it is, and of one that is no longer among
-- those into which the group's topics go.
with recursive each as (
    (select rule, target_table, source_table, in_flight, pipeline
       from ods_sink.quality where consumer_group = $1
      order by rule, target_table, source_table, in_flight, pipeline limit 1)
    union all
    select n.rule, n.target_table, n.source_table, n.in_flight, n.pipeline
      from each e cross join lateral (
           select q.rule, q.target_table, q.source_table, q.in_flight, q.pipeline
             from ods_sink.quality q
            where q.consumer_group = $1
              and (q.rule, q.target_table, q.source_table, q.in_flight, q.pipeline)
                  > (e.rule, e.target_table, e.source_table, e.in_flight, e.pipeline)
            order by q.rule, q.target_table, q.source_table, q.in_flight, q.pipeline limit 1) n)
select json_build_object('pipeline', q.pipeline, 'rule', q.rule, 'check', q.validator,
         'table', q.source_table, 'target', q.target_table,
         'at', to_char(q.began_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
         'in_flight', q.in_flight, 'by_daemon', q.by_daemon, 'worker', q.worker, 'state', q.state,
         'measured', q.measured, 'rows', q.looked_at, 'expected', q.expected,
         'seconds', q.seconds, 'why', q.why)
  from each e cross join lateral (
       select * from ods_sink.quality r
        where r.consumer_group = $1 and r.rule = e.rule and r.target_table = e.target_table
          and r.source_table = e.source_table and r.in_flight = e.in_flight and r.pipeline = e.pipeline
        order by r.began_at desc limit $2::integer) q
 where (e.target_table = ''
        or exists (select from ods_sink.topic_tables t
                    where t.consumer_group = $1
                      and t.table_schema || '.' || t.table_name = e.target_table))
   and (e.target_table <> '' or e.in_flight or not exists (
        select from each o
         where o.rule = e.rule and o.target_table <> '' and not o.in_flight
           and (o.source_table = e.source_table
                or right(o.source_table, length(e.source_table) + 1) = '.' || e.source_table)
           and exists (select from ods_sink.quality l
                        where l.consumer_group = $1 and l.rule = o.rule
                          and l.target_table = o.target_table and l.began_at > q.began_at)))
 order by q.source_table, q.target_table, q.rule, q.in_flight, q.began_at desc;
