-- Erase a row: records that are not applied yet, rows of the table, its history, a table made anew; NULL
-- where there is no such table. $1: consumer group, $2: schema, $3: table, $4: schema and $5: name of the
-- history, $6: the key's columns and $7: values, $8: topics, $9: partitions and $10: offsets that have to
-- be reached, $11: letters, $12: who, $13: only look.
select behind, rows_, history_rows_, shadow_rows_
from ods_sink.erase($1, $2, $3, $4, $5, $6::text[], $7::text[], $8::text[], $9::integer[],
                    $10::bigint[], $11::bigint, $12, $13::boolean);
