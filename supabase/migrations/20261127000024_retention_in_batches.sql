-- Retention goes in bounded batches, each a transaction of its own: what a year has left is no longer one transaction that
-- holds locks and keeps the vacuum from everything until it ends.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

grant create on schema jarvis to jarvis_writer;
-- Replacing a function takes its owner, whom the migrating role may become without inheriting from them.
select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_writer;

create function jarvis.expire_some(what text, at timestamptz, unasked boolean, most integer) returns bigint
  language plpgsql security definer set search_path = ''
  as $$
declare
  period record;
  until timestamptz;
  ids uuid[];
  gone bigint := 0;
begin
  if jarvis.request_role() <> 'jarvis_system' then
    raise exception using errcode = '42501', message = 'only the system applies retention';
  end if;
  select p.days, p.begun_at into period from jarvis.retention_periods p where p.subject = what;
  if not found then
    raise exception using errcode = 'JR001', message = 'retention_subject_unknown', detail = what;
  end if;
  until := at - make_interval(days => period.days);
  if unasked and until < period.begun_at then
    return 0;
  end if;
  case what
    when 'events' then
      -- A conversation goes as a whole: what is left of one would be read as all of it. So a batch may be some larger.
      with due as (
        select e.gym_id, e.session_id from public.conversation_events e
         where e."timestamp" < until and not jarvis.is_restricted(e.gym_id, e.member_id)
           and not exists (select from public.conversation_sessions s
                            where s.gym_id = e.gym_id and s.session_id = e.session_id
                              and (s.state in ('open', 'closing') or s.ended_at >= until))
         limit most
      )
      delete from public.conversation_events e
       using (select distinct due.gym_id, due.session_id from due) d
       where e.gym_id = d.gym_id and e.session_id = d.session_id
         and e."timestamp" < until and not jarvis.is_restricted(e.gym_id, e.member_id);
      get diagnostics gone = row_count;
      if gone < coalesce(most, gone + 1) then
        -- Nothing is left that could bring these back.
        delete from jarvis.forgotten_facts t
         where t.forgotten_at < until
           and not exists (select from public.conversation_events e
                            where e.gym_id = t.gym_id and e.member_id = t.member_id and e."timestamp" <= t.forgotten_at);
      end if;
    when 'summaries' then
      delete from public.conversation_summaries s
       where s.ctid = any (array(select o.ctid from public.conversation_summaries o
                                  where o.created_at < until and not jarvis.is_restricted(o.gym_id, o.member_id) limit most));
      get diagnostics gone = row_count;
      if gone < coalesce(most, gone + 1) then
        update public.conversation_sessions s set state = 'empty', state_reason = 'retention'
         where s.state = 'processed' and s.started_at < until
           and not exists (select from public.conversation_summaries c where c.gym_id = s.gym_id and c.session_id = s.session_id);
      end if;
    when 'windows' then
      delete from jarvis.memory_windows w
       where w.ctid = any (array(select o.ctid from jarvis.memory_windows o
                                  where o.said_at < until and not jarvis.is_restricted(o.gym_id, o.member_id) limit most));
      get diagnostics gone = row_count;
    when 'health_facts', 'facts' then
      ids := array(select f.id from public.member_facts f
                    where coalesce(f.last_confirmed_at, f.updated_at) < until
                      and not jarvis.is_restricted(f.gym_id, f.member_id)
                      and jarvis.is_health_fact(f.category, f.fact_key, f.fact_value, f.slot) = (what = 'health_facts')
                      and (what = 'facts' or not f.is_active)
                    limit most);
      delete from public.member_facts f where f.id = any (ids);
      get diagnostics gone = row_count;
      -- Its going was entered in the history, with what it was.
      delete from jarvis.member_fact_history h where h.fact_id = any (ids);
    when 'fact_history' then
      delete from jarvis.member_fact_history h
       where h.ctid = any (array(select o.ctid from jarvis.member_fact_history o
                                  where o.recorded_at < until and (o.valid_to is not null or o.valid_from is null)
                                    and not jarvis.is_restricted(o.gym_id, o.member_id) limit most));
      get diagnostics gone = row_count;
    when 'alerts' then
      delete from public.manager_alerts a
       where a.ctid = any (array(select o.ctid from public.manager_alerts o
                                  where o.status in ('resolved', 'dismissed') and coalesce(o.resolved_at, o.updated_at) < until
                                    and not jarvis.is_restricted(o.gym_id, o.member_id) limit most));
      get diagnostics gone = row_count;
    when 'audit' then
      perform set_config('jarvis.purge', 'on', true);
      delete from jarvis.audit_log l
       where l.ctid = any (array(select o.ctid from jarvis.audit_log o
                                  where o.recorded_at < until and not jarvis.is_restricted(o.gym_id, o.member_id) limit most));
      get diagnostics gone = row_count;
      perform set_config('jarvis.purge', '', true);
    when 'analytics_history' then
      delete from jarvis.member_analytics_history h
       where h.ctid = any (array(select o.ctid from jarvis.member_analytics_history o
                                  where o.day < until::date and not jarvis.is_restricted(o.gym_id, o.member_id) limit most));
      get diagnostics gone = row_count;
    when 'reports' then
      delete from public.insights_reports r
       where r.ctid = any (array(select o.ctid from public.insights_reports o where o.generated_at < until limit most));
      get diagnostics gone = row_count;
    when 'held_imports' then
      if to_regclass('jarvis.legacy_held') is not null then
        delete from jarvis.legacy_held h
         where h.ctid = any (array(select o.ctid from jarvis.legacy_held o
                                    where o.held_at < until and not jarvis.is_restricted(o.gym_id, o.member_id) limit most));
        get diagnostics gone = row_count;
      end if;
    else
      raise exception using errcode = 'JR001', message = 'retention_subject_unknown', detail = what;
  end case;
  return gone;
end
$$;
comment on function jarvis.expire_some(text, timestamptz, boolean, integer) is 'Efface d''un sujet au plus tant de lignes dont la durée de conservation est passée (null : toutes), et dit combien.';
revoke all on function jarvis.expire_some(text, timestamptz, boolean, integer) from public, anon, authenticated;
grant execute on function jarvis.expire_some(text, timestamptz, boolean, integer) to jarvis_system;

-- All subjects at once, as before: for who counts and rolls back.
create or replace function jarvis.expire(at timestamptz, unasked boolean default false) returns table (subject text, days integer, gone bigint)
  language plpgsql security definer set search_path = ''
  as $$
begin
  if jarvis.request_role() <> 'jarvis_system' then
    raise exception using errcode = '42501', message = 'only the system applies retention';
  end if;
  for subject, days in select p.subject, p.days from jarvis.retention_periods p order by p.subject loop
    gone := jarvis.expire_some(subject, at, unasked, null);
    return next;
  end loop;
end
$$;

select set_config('role', current_setting('jarvis.migrating_role'), true);
revoke create on schema jarvis from jarvis_writer;
