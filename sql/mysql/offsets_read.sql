-- The stored offsets of a group, and when each was stored, in microseconds. {}: the table, the group.
select topic, `partition`, next_offset, cast(unix_timestamp(updated_at) * 1000000 as signed)
from {} where consumer_group = {}
