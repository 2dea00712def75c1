-- Is there a table of dead letters? Needs no right on it.
select to_regclass('ods_sink.dead_letters') is not null;
