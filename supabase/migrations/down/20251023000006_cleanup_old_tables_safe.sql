-- Takes back the cleanup. Tables that it dropped do not come back: their rows are where the import put them.

set local lock_timeout = '10s';
set local statement_timeout = '120s';

delete from jarvis.data_map where schema_name = 'jarvis' and table_name in ('legacy_gyms', 'legacy_rows', 'legacy_held');
drop function jarvis.legacy_cleanup(text[]), jarvis.legacy_status(), jarvis.legacy_dependants(text);
