-- One session of ods-sink at a time changes tables.
select get_lock('ods-sink: tables', 50)
