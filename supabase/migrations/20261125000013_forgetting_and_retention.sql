-- Nothing drops silently: retention leaves a caution that holds to the question, and a restricted member alone; what was
-- forgotten is not read again.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

grant create on schema jarvis to jarvis_writer;

-- ---------------------------------------------------------------------------------------------------------
-- What was forgotten, told by a fingerprint alone: whoever reads an old conversation again leaves it out
-- ---------------------------------------------------------------------------------------------------------
create table jarvis.forgotten_facts (
  gym_id       uuid not null default jarvis.current_gym(),
  member_id    uuid not null,
  mark         text not null check (mark ~ '^[0-9a-f]{64}$'),
  forgotten_at timestamptz not null,
  primary key (gym_id, member_id, mark),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
alter table jarvis.forgotten_facts enable row level security;
alter table jarvis.forgotten_facts force row level security;
revoke all on jarvis.forgotten_facts from public, anon, authenticated, service_role;
comment on table jarvis.forgotten_facts is 'Faits oubliés, par une empreinte sans valeur ni parole : relire une conversation d''avant ne les fait pas revenir.';
comment on column jarvis.forgotten_facts.gym_id is 'Salle.';
comment on column jarvis.forgotten_facts.member_id is 'Membre.';
comment on column jarvis.forgotten_facts.mark is 'Empreinte SHA-256 du membre et de la case, ou de la clé, du fait oublié.';
comment on column jarvis.forgotten_facts.forgotten_at is 'Moment de l''oubli : ce qui est dit après n''est pas concerné.';
create policy server_all on jarvis.forgotten_facts for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
grant select, insert, update (forgotten_at) on jarvis.forgotten_facts to jarvis_server;
grant select, delete on jarvis.forgotten_facts to jarvis_writer;

create function jarvis.fact_marks(member uuid, category text, fact_key text, slots text[]) returns text[]
  language sql immutable set search_path = ''
  as $$
    select array_agg(distinct encode(sha256(convert_to(concat_ws('|', member, category, of.kind, of.name), 'UTF8')), 'hex'))
      from (select 'key', fact_key union all select 'slot', s.slot from unnest(slots) as s (slot)) as of (kind, name)
     where of.name is not null
  $$;
comment on function jarvis.fact_marks(uuid, text, text, text[]) is 'Empreintes d''un fait : de sa clé, et de sa case quand elle est connue.';
revoke all on function jarvis.fact_marks(uuid, text, text, text[]) from public, anon, authenticated;
grant execute on function jarvis.fact_marks(uuid, text, text, text[]) to jarvis_server;

create function jarvis.is_restricted(gym uuid, member uuid) returns boolean
  language sql stable set search_path = ''
  as $$
    select exists (select from jarvis.restrictions r where r.gym_id = gym and r.member_id = member)
  $$;
comment on function jarvis.is_restricted(uuid, uuid) is 'Vrai si les données du membre sont gardées sans être employées.';
revoke all on function jarvis.is_restricted(uuid, uuid) from public, anon, authenticated;
grant execute on function jarvis.is_restricted(uuid, uuid) to jarvis_server, jarvis_writer;

-- Replacing a function takes its owner, whom the migrating role may become without inheriting from them.
select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_writer;
-- As before, but that an active fact about health is left to the question and the alert (every night), that a conversation's events go together, and that a restricted member is left alone.
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

select set_config('role', current_setting('jarvis.migrating_role'), true);
revoke create on schema jarvis from jarvis_writer;

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how, rests_on)
select 'jarvis', 'forgotten_facts', c.name, 'personal', 'tant qu''une conversation d''avant l''oubli est gardée', true,
       'avec le membre (cascade)', 'contract'
  from (values ('gym_id'), ('member_id'), ('mark'), ('forgotten_at')) as c (name);
