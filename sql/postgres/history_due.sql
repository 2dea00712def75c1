-- What is to be done now about the partitions of histories: one statement a row.
select d.sql from ods_sink.history_due() as d
