-- Give an order about some topics: its number, or why it is refused. $1: consumer group, $2: topics, as
-- an array's text; $3: the states that it is meant for, likewise; $4: the new state, $5: the table as
-- the operator calls it, $6: what is done, $7: with what, $8: why, $9: who.
select number_, refusal
from ods_sink.order_topics($1, $2::text[], $3::text[], $4, $5, $6, $7, $8, $9);
