do release_lock('ods-sink: tables')
