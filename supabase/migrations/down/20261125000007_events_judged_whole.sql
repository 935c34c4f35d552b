-- Back to events that are judged row by row.
set local role jarvis_writer;
grant execute on function jarvis.event_consent() to public;
reset role;
drop trigger a10_session on public.conversation_events;
drop trigger a11_session on public.conversation_events;
drop trigger b20_consent on public.conversation_events;
drop trigger b21_consent on public.conversation_events;
create trigger a10_session before insert or update of session_id, member_id, gym_id on public.conversation_events
  for each row execute function jarvis.event_session();
create trigger b20_consent before insert or update of transcript, tool_args, tool_result, member_id on public.conversation_events
  for each row execute function jarvis.event_consent();

grant create on schema jarvis to jarvis_writer;
set local role jarvis_writer;
create or replace function jarvis.events_arrived() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if jarvis.request_role() = 'jarvis_server' then
    return null;
  end if;
  update public.conversation_sessions s
     set last_event_at = greatest(s.last_event_at, least(fresh.at, now())),
         state = case when s.state = 'open' then s.state else 'closing' end,
         attempts = case when s.state = 'open' then s.attempts else 0 end
    from (select gym_id, session_id, max("timestamp") as at from arrived group by gym_id, session_id) as fresh
   where s.gym_id = fresh.gym_id and s.session_id = fresh.session_id;
  return null;
end
$$;
comment on function jarvis.events_arrived() is 'Déclencheur : date le dernier événement reçu d''une application extérieure et fait retraiter une conversation finie.';
revoke execute on function jarvis.event_consent() from public;
reset role;
revoke create on schema jarvis from jarvis_writer;
