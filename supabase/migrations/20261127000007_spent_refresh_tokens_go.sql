-- A session that goes on for months keeps no token that was spent long ago: shown again, it is unknown, and renews nothing.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

grant delete on jarvis.refresh_tokens to jarvis_system;
update jarvis.data_map set retention = '30 jours après l''usage, ou après la fin'
 where schema_name = 'jarvis' and table_name = 'refresh_tokens';
