-- What hangs on conversations. Those with a summary are done; those without are processed by our worker, if their member
-- agreed to be remembered; one that goes on at this moment stays open.
alter table public.conversation_sessions disable trigger user;
insert into public.conversation_sessions
       (session_id, gym_id, member_id, channel, language, state, state_reason, end_reason, started_at, last_event_at, ended_at, processed_at, notes)
select u.session_id, u.gym_id, u.member_id, 'external',
       coalesce((select p.language from public.member_preferences p where p.member_id = u.member_id), 'fr'),
       state.name, case when state.name = 'empty' then case when u.has_words then 'no_consent' else 'no_user_turn' end end,
       case when state.name <> 'open' then 'client' end,
       coalesce(least(u.first_at, u.began), now()), u.last_at,
       case when state.name <> 'open' then coalesce(greatest(u.last_at, u.told_at), now()) end,
       case when state.name = 'processed' then coalesce(u.told_at, now()) end, '{adopted}'
  from jarvis_adoption.units u
 cross join lateral (
   select case when u.summary_row is not null then 'processed'
               when u.last_at between now() - interval '15 minutes' and now() + interval '1 day' then 'open'
               when not u.has_words then 'empty'
               when exists (select from jarvis.consent_ledger l where l.gym_id = u.gym_id and l.member_id = u.member_id
                               and l.purpose = 'memory' and l.granted) then 'closing'
               else 'empty' end as name) as state;
select jarvis_adoption.copy('member_facts'), jarvis_adoption.copy('conversation_summaries');
select jarvis_adoption.copy('conversation_events');
select jarvis_adoption.copy('member_analytics'), jarvis_adoption.copy('manager_alerts'), jarvis_adoption.copy('insights_reports');

select jarvis_adoption.say('conversation', 'settled', 'conversation_sessions', count(*), s.state || coalesce(' (' || s.state_reason || ')', ''),
         case s.state when 'closing' then 'processed by the worker, since memory is agreed to' when 'open' then 'goes on; closed after 15 minutes without an event'
                      when 'empty' then 'its events are kept' else 'has its summary' end)
  from public.conversation_sessions s group by s.state, s.state_reason order by s.state, s.state_reason;

-- No trigger saw these facts: each gets its slot, and a month to be asked about, whatever its age.
update public.member_facts f set slot = jarvis.slot_of(f.category, f.fact_key, f.fact_value) where f.slot is null;
update public.member_facts f
   set expires_at = greatest(coalesce(f.last_confirmed_at, f.updated_at) + (jarvis.slot_rules(f.category, f.slot)).lives,
                             now() + interval '30 days')
 where f.expires_at is null;

-- Evidence that is there counts.
update public.member_facts f set verified = true
 where f.source_quote is not null and f.source_session_id is not null
   and jarvis.quote_is_said(f.gym_id, f.member_id, f.source_session_id, f.source_quote);
insert into jarvis.member_fact_history (fact_id, gym_id, member_id, category, fact_key, operation, new, session_id, actor, valid_from)
select f.id, f.gym_id, f.member_id, f.category, f.fact_key, 'insert', to_jsonb(f), f.source_session_id, 'adoption', f.created_at
  from public.member_facts f;
insert into jarvis.member_analytics_history (gym_id, member_id, day, data, source)
select a.gym_id, a.member_id, (a.updated_at at time zone g.timezone)::date, to_jsonb(a) - '{gym_id,member_id}'::text[], 'legacy'
  from public.member_analytics a join public.gyms g on g.id = a.gym_id;

do $$
declare
  home constant text := (select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector');
begin
  execute format('insert into jarvis.summary_vectors (summary_id, gym_id, member_id, model, created_at, emb)
                  select s.id, s.gym_id, s.member_id, s.embedding_model, coalesce(s.created_at, now()), s.embedding::%s.halfvec
                    from public.conversation_summaries s where s.embedding is not null and s.embedding_model <> ''unknown''', home);
end
$$;

-- A value that our rules refuse stays as it is; who writes it again must mend it.
do $$
declare
  fact record;
  odd bigint := 0;
begin
  for fact in select category, fact_value from public.member_facts loop
    begin
      perform jarvis.check_fact_value(fact.category, fact.fact_value);
    exception when others then
      odd := odd + 1;
    end;
  end loop;
  if odd > 0 then
    perform jarvis_adoption.say('odd_fact_value', 'settled', 'member_facts.fact_value', odd, 'not the form that its category expects',
      'kept as it is; whoever writes the fact again must give the expected form');
  end if;
end
$$;

do $$
declare
  cell record;
  hits bigint;
begin
  for cell in select n.tbl, n.col from jarvis_adoption.new_columns n join jarvis_adoption.old_columns o on o.tbl = n.tbl and o.col = n.col
               where n.type in ('text', 'jsonb', 'text[]') and n.tbl not in ('users', 'gyms') order by n.n, n.attnum loop
    execute format('select count(*) from public.%I where %I::text ~ ''Ã[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹Œ‘’“”•–—˜™š›œ]|â€|Â[\u00a0-\u00bf]''', cell.tbl, cell.col) into hits;
    if hits > 0 then
      perform jarvis_adoption.say('double_encoded', 'note', cell.tbl || '.' || cell.col, hits, 'the text looks as if it had been encoded twice',
        'kept byte for byte; correct it in the application that wrote it');
    end if;
  end loop;
end
$$;
