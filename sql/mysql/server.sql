-- What the session has to know of the server.
select version(), @@max_allowed_packet, @@local_infile, @@lower_case_table_names, database(),
    current_user(), @@global.read_only
