-- What skip-until has passed over, the oldest order first: topic, partition, from, upto, reason, who
-- ordered it and when (UTC). An order's details have "<topic> [<partition>] <from> to <upto>" for
-- each partition.
-- $1: consumer group.
select distinct part[1], part[2], part[3], part[4], h.reason, h.ordered_by,
       to_char(h.ordered_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')
  from ods_sink.control_history h,
       regexp_matches(h.details, '(\S+) \[(\d+)\] (-?\d+) to (\d+)', 'g') part
 where h.consumer_group = $1 and h.action = 'skip-until'
 order by 7;
