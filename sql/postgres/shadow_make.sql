-- Begin to make a table anew, or go on: its name, whether it begins, why it can't be. $1: consumer group,
-- $2: schema, $3: table; $4: group of its own offsets, $5: only its rows are to be exchanged.
select shadow_name_, begun, refusal
from ods_sink.shadow_make($1, $2, $3, $4, $5::boolean);
