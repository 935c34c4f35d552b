-- Retention as it was: everything in one transaction.
set local lock_timeout = '10s';

grant create on schema jarvis to jarvis_writer;
select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_writer;
create or replace function jarvis.expire(at timestamptz, unasked boolean default false) returns table (subject text, days integer, gone bigint)
  language plpgsql security definer set search_path = ''
  as $$
declare
  until timestamptz;
  begun timestamptz;
  ids uuid[];
begin
  if jarvis.request_role() <> 'jarvis_system' then
    raise exception using errcode = '42501', message = 'only the system applies retention';
  end if;
  for subject, days, begun in select p.subject, p.days, p.begun_at from jarvis.retention_periods p order by p.subject loop
    until := at - make_interval(days => days);
    gone := 0;
    if unasked and until < begun then
      return next;
      continue;
    end if;
    case subject
      when 'events' then
        -- A conversation goes as a whole: what is left of one would be read as all of it.
        delete from public.conversation_events e
         where e."timestamp" < until and not jarvis.is_restricted(e.gym_id, e.member_id)
           and not exists (select from public.conversation_sessions s
                            where s.gym_id = e.gym_id and s.session_id = e.session_id
                              and (s.state in ('open', 'closing') or s.ended_at >= until));
        get diagnostics gone = row_count;
        -- Nothing is left that could bring these back.
        delete from jarvis.forgotten_facts t
         where t.forgotten_at < until
           and not exists (select from public.conversation_events e
                            where e.gym_id = t.gym_id and e.member_id = t.member_id and e."timestamp" <= t.forgotten_at);
      when 'summaries' then
        delete from public.conversation_summaries s
         where s.created_at < until and not jarvis.is_restricted(s.gym_id, s.member_id);
        get diagnostics gone = row_count;
        update public.conversation_sessions s set state = 'empty', state_reason = 'retention'
         where s.state = 'processed' and s.started_at < until
           and not exists (select from public.conversation_summaries c where c.gym_id = s.gym_id and c.session_id = s.session_id);
      when 'windows' then
        delete from jarvis.memory_windows w where w.said_at < until and not jarvis.is_restricted(w.gym_id, w.member_id);
        get diagnostics gone = row_count;
      when 'health_facts', 'facts' then
        select array_agg(f.id) into ids from public.member_facts f
         where coalesce(f.last_confirmed_at, f.updated_at) < until
           and not jarvis.is_restricted(f.gym_id, f.member_id)
           and jarvis.is_health_fact(f.category, f.fact_key, f.fact_value, f.slot) = (subject = 'health_facts')
           and (subject = 'facts' or not f.is_active);
        delete from public.member_facts f where f.id = any (ids);
        get diagnostics gone = row_count;
        -- Its going was entered in the history, with what it was.
        delete from jarvis.member_fact_history h where h.fact_id = any (ids);
      when 'fact_history' then
        delete from jarvis.member_fact_history h
         where h.recorded_at < until and (h.valid_to is not null or h.valid_from is null)
           and not jarvis.is_restricted(h.gym_id, h.member_id);
        get diagnostics gone = row_count;
      when 'alerts' then
        delete from public.manager_alerts a
         where a.status in ('resolved', 'dismissed') and coalesce(a.resolved_at, a.updated_at) < until
           and not jarvis.is_restricted(a.gym_id, a.member_id);
        get diagnostics gone = row_count;
      when 'audit' then
        perform set_config('jarvis.purge', 'on', true);
        delete from jarvis.audit_log l where l.recorded_at < until and not jarvis.is_restricted(l.gym_id, l.member_id);
        get diagnostics gone = row_count;
        perform set_config('jarvis.purge', '', true);
      when 'analytics_history' then
        delete from jarvis.member_analytics_history h
         where h.day < until::date and not jarvis.is_restricted(h.gym_id, h.member_id);
        get diagnostics gone = row_count;
      when 'reports' then
        delete from public.insights_reports r where r.generated_at < until;
        get diagnostics gone = row_count;
      when 'held_imports' then
        if to_regclass('jarvis.legacy_held') is not null then
          delete from jarvis.legacy_held h where h.held_at < until and not jarvis.is_restricted(h.gym_id, h.member_id);
          get diagnostics gone = row_count;
        end if;
      else
        raise exception using errcode = 'JR001', message = 'retention_subject_unknown', detail = subject;
    end case;
    return next;
  end loop;
end
$$;

drop function jarvis.expire_some(text, timestamptz, boolean, integer);
select set_config('role', current_setting('jarvis.migrating_role'), true);
revoke create on schema jarvis from jarvis_writer;
