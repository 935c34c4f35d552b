-- The data API without opaque keys.
set local lock_timeout = '10s';

drop table jarvis.api_keys;
delete from jarvis.data_map where schema_name = 'jarvis' and table_name = 'api_keys';
