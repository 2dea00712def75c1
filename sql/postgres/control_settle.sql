-- Wait for the transactions that move offsets of some topics. $1: consumer group, $2: topics, as an
-- array's text.
select count(*) from (select from ods_sink.offsets
                      where consumer_group = $1 and topic = any ($2::text[]) for update) o;
