-- Takes the privacy functions back. Restrictions are lost with their table, and so are periods that were changed.
drop trigger c40_answered on jarvis.consent_ledger;
drop trigger c40_birth on public.gym_members_v2;
drop trigger c50_audit on jarvis.consent_ledger;
drop trigger c50_audit on public.member_facts;
drop trigger c50_audit on public.gym_members_v2;
drop trigger b20_never_deleted on jarvis.audit_log;
drop trigger b20_never_edited_truncate on jarvis.audit_log;
grant create on schema jarvis to jarvis_writer;
set local role jarvis_writer;
create or replace function jarvis.consent_given(gym uuid, member uuid, of_purpose text) returns boolean
  language sql stable security definer set search_path = ''
  as $$
    select coalesce((
      select l.granted
             and (l.by_guardian or of_purpose not in ('voice', 'memory', 'health_memory')
                  or not exists (select from public.gym_members_v2 m
                                  where m.gym_id = gym and m.id = member
                                    and m.date_of_birth > current_date - interval '15 years'))
        from jarvis.consent_ledger l
       where l.gym_id = gym and l.member_id = member and l.purpose = of_purpose
       order by l.recorded_at desc, l.seq desc
       limit 1), false)
  $$;
reset role;
revoke create on schema jarvis from jarvis_writer;
drop table jarvis.restrictions, jarvis.retention_periods;
drop function jarvis.expire(timestamptz, boolean), jarvis.note_read(uuid, uuid, text, text, text), jarvis.audit_kept(), jarvis.audit_change(), jarvis.export_member(uuid, uuid),
  jarvis.withdraw_health(uuid, uuid, uuid[], text[], uuid[], uuid[], bigint[], text[]),
  jarvis.begin_health_withdrawal(uuid, uuid), jarvis.withdraw_memory(uuid, uuid), jarvis.birth_corrected(),
  jarvis.consent_answered(), jarvis.ask_withdrawal(uuid, uuid, text), jarvis.consent_recorded(uuid, uuid, text),
  jarvis.member_tables();
delete from jarvis.data_map
 where schema_name = 'jarvis' and (table_name in ('restrictions', 'retention_periods')
                                   or table_name = 'data_map' and column_name = 'rests_on');
alter table jarvis.data_map drop column rests_on;

-- What jarvis_writer was given; taking a right on a table away takes those on its columns too.
revoke select on jarvis.adopted_members, jarvis.adoption_remains, jarvis.data_map, public.member_analytics,
  public.member_fitness_profile, public.member_preferences, public.member_visits from jarvis_writer;
revoke select, insert, delete on jarvis.audit_log from jarvis_writer;
revoke select, delete on public.conversation_summaries, public.insights_reports, public.manager_alerts from jarvis_writer;
grant select (id, session_id, gym_id, member_id, summary_text, key_topics, sentiment, search, created_at, tells_health, language)
   on public.conversation_summaries to jarvis_writer;
revoke delete on jarvis.member_analytics_history from jarvis_writer;
revoke select, delete on public.conversation_events from jarvis_writer;
revoke update (tool_result) on public.conversation_events from jarvis_writer;
grant select (id, gym_id, session_id, member_id, event_type, transcript) on public.conversation_events to jarvis_writer;
revoke select on public.conversation_sessions from jarvis_writer;
revoke update (last_error, notes, withheld_health_spans) on public.conversation_sessions from jarvis_writer;
grant select (gym_id, session_id, member_id, started_at, last_event_at, state, attempts)
   on public.conversation_sessions to jarvis_writer;
revoke select on public.gym_members_v2 from jarvis_writer;
grant select (gym_id, id, date_of_birth, last_visit, total_visits) on public.gym_members_v2 to jarvis_writer;
revoke select (id, kind, unique_key, gym_id, lane, state, run_at), update (run_at),
       insert (kind, unique_key, gym_id, args, priority, run_at, created_at) on jarvis.jobs from jarvis_writer;
do $windows$
begin
  if to_regclass('jarvis.memory_windows') is not null then
    revoke delete on jarvis.memory_windows from jarvis_writer;
  end if;
  if to_regclass('jarvis.fact_endings') is not null then
    revoke select, delete on jarvis.fact_endings from jarvis_writer;
  end if;
end
$windows$;
