-- Nobody stays signed in longer than an access token lives.
set local lock_timeout = '10s';

do $auth$
begin
  if obj_description('auth'::regnamespace) like 'JARVIS%' then
    revoke update (encrypted_password, raw_user_meta_data, updated_at) on auth.users from jarvis_system;
  end if;
end
$auth$;
drop table jarvis.refresh_tokens;
drop table jarvis.auth_sessions;
delete from jarvis.data_map where schema_name = 'jarvis' and table_name in ('auth_sessions', 'refresh_tokens');
