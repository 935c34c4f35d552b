set local lock_timeout = '10s';

revoke delete on jarvis.refresh_tokens from jarvis_system;
update jarvis.data_map set retention = '30 jours après la fin' where schema_name = 'jarvis' and table_name = 'refresh_tokens';
