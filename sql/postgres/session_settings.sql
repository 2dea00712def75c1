-- Settings of a session. Texts have one form, whatever the role's own settings are. Batches come as
-- arrays of unknown length, for which one plan is right: an index look-up a row. A plan that was
-- made while a table was empty would otherwise scan it when it has ten million rows.
-- $1: synchronous_commit, then milliseconds: $2 statement_timeout, $3 lock_timeout,
-- $4 idle_in_transaction_session_timeout.
select pg_catalog.set_config(s.name, s.value, false)
from (values ('datestyle', 'ISO, MDY'),
             ('intervalstyle', 'postgres'),
             ('timezone', 'UTC'),
             ('standard_conforming_strings', 'on'),
             ('extra_float_digits', '1'),
             ('client_min_messages', 'warning'),
             ('bytea_output', 'hex'),
             ('plan_cache_mode', 'force_generic_plan'),
             ('enable_seqscan', 'off'),
             ('enable_hashjoin', 'off'),
             ('enable_mergejoin', 'off'),
             ('jit', 'off'),
             ('work_mem', '32MB'),
             ('default_transaction_isolation', 'read committed'),
             ('synchronous_commit', $1::text),
             ('statement_timeout', $2::text),
             ('lock_timeout', $3::text),
             ('idle_in_transaction_session_timeout', $4::text)) as s (name, value);
