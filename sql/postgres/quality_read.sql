-- The last results of each rule and table, the newest first, as JSON. $1: consumer group, $2: how
-- many of each. Results of a table that was not there yet are left out once it is.
select json_build_object('pipeline', q.pipeline, 'rule', q.rule, 'check', q.validator,
         'table', q.source_table, 'target', q.target_table,
         'at', to_char(q.began_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
         'in_flight', q.in_flight, 'by_daemon', q.by_daemon, 'worker', q.worker, 'state', q.state,
         'measured', q.measured, 'rows', q.looked_at, 'expected', q.expected,
         'seconds', q.seconds, 'why', q.why)
  from (select *, row_number() over (partition by pipeline, rule, source_table, target_table, in_flight
                                     order by began_at desc) as place
          from ods_sink.quality r
         where consumer_group = $1
           and (target_table <> '' or in_flight or not exists (
                select from ods_sink.quality o
                 where o.consumer_group = $1 and o.rule = r.rule and o.target_table <> ''
                   and o.began_at > r.began_at
                   and (o.source_table = r.source_table
                        or right(o.source_table, length(r.source_table) + 1) = '.' || r.source_table)))) q
 where q.place <= $2::integer
 order by q.source_table, q.target_table, q.rule, q.in_flight, q.began_at desc;
