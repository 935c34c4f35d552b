-- A batch of events of our server is judged as a whole: once for each conversation in it, where the triggers of a row
-- ask the same questions five thousand times. The batch says that it is one and that each of its rows is complete; then
-- no conversation is opened for it and nothing is filled in. The judgement of the whole is not for the batch to choose:
-- whatever our server inserts passes it, also row by row.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

grant create on schema jarvis to jarvis_writer;

set local role jarvis_writer;
create or replace function jarvis.events_arrived() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
declare
  batch record;
  conversation record;
begin
  if jarvis.request_role() <> 'jarvis_server' then
    update public.conversation_sessions s
       set last_event_at = greatest(s.last_event_at, least(fresh.at, now())),
           state = case when s.state = 'open' then s.state else 'closing' end,
           attempts = case when s.state = 'open' then s.attempts else 0 end
      from (select gym_id, session_id, max("timestamp") as at from arrived group by gym_id, session_id) as fresh
     where s.gym_id = fresh.gym_id and s.session_id = fresh.session_id;
    return null;
  end if;
  for batch in
    select a.gym_id, a.session_id, a.member_id, max(a.received_at) as latest,
           bool_or(a.transcript is not null or a.tool_args is not null or a.tool_result is not null) as with_words
      from arrived a group by a.gym_id, a.session_id, a.member_id
  loop
    select s.member_id, s.ended_at into conversation
      from public.conversation_sessions s where s.gym_id = batch.gym_id and s.session_id = batch.session_id;
    if not found then
      raise exception using errcode = 'JS001', message = 'session_not_found',
        hint = 'Ouvrez la conversation, ou donnez member_id pour en ouvrir une.';
    end if;
    if batch.member_id is distinct from conversation.member_id then
      raise exception using errcode = 'JS002', message = 'session_of_another_member',
        hint = 'Cette conversation est celle d''un autre membre.';
    end if;
    if batch.latest > conversation.ended_at + interval '10 minutes' then
      raise exception using errcode = 'JS003', message = 'session_closed',
        hint = 'La conversation est finie depuis plus de dix minutes : ouvrez-en une autre.';
    end if;
    -- Our server asks before it inserts: only a consent withdrawn in between comes here.
    if batch.with_words and not jarvis.consent_given(batch.gym_id, batch.member_id, 'memory') then
      update public.conversation_events e set transcript = null, tool_args = null, tool_result = null
        from arrived a
       where a.gym_id = batch.gym_id and a.session_id = batch.session_id and e.gym_id = a.gym_id and e.id = a.id
         and (a.transcript is not null or a.tool_args is not null or a.tool_result is not null);
    end if;
  end loop;
  return null;
end
$$;
comment on function jarvis.events_arrived() is
  'Déclencheur : date le dernier événement reçu d''une application extérieure et fait retraiter une conversation finie ; juge d''un bloc ce que notre serveur a inséré.';
-- A trigger can only be made by who may run its function, which nobody may: not longer than that takes.
grant execute on function jarvis.event_consent() to public;
reset role;
revoke create on schema jarvis from jarvis_writer;

drop trigger a10_session on public.conversation_events;
drop trigger b20_consent on public.conversation_events;
create trigger a10_session before insert on public.conversation_events for each row
  when ((current_setting('role', true) = 'jarvis_server' and current_setting('jarvis.judge_events', true) = 'whole'
         and new.member_id is not null and new.gym_id is not null) is not true)
  execute function jarvis.event_session();
create trigger a11_session before update of session_id, member_id, gym_id on public.conversation_events
  for each row execute function jarvis.event_session();
create trigger b20_consent before insert on public.conversation_events for each row
  when ((current_setting('role', true) = 'jarvis_server' and current_setting('jarvis.judge_events', true) = 'whole'
         and new.member_id is not null and new.gym_id is not null) is not true)
  execute function jarvis.event_consent();
create trigger b21_consent before update of transcript, tool_args, tool_result, member_id on public.conversation_events
  for each row execute function jarvis.event_consent();
set local role jarvis_writer;
revoke execute on function jarvis.event_consent() from public;
reset role;
