-- Exchange a table or its rows: number of the order by which it goes on, why not, is the new one behind?
-- $1: consumer group, $2: topics, as an array's text, $3: number of the order that holds them;
-- $4: schema, $5: table, $6: only its rows; $7: state afterwards, $8: the table as the operator calls it,
-- $9: why, $10: who.
select number_, refusal, behind
from ods_sink.shadow_exchange($1, $2::text[], $3::bigint, $4, $5, $6::boolean, $7, $8, $9, $10);
