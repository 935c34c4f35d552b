-- What is forgotten goes wherever it was written down, in tables of the operator, too; and an export that was made before a
-- member withdrew, had something forgotten or was erased tells what is gone, so it goes with it.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

grant create on schema jarvis to jarvis_writer;

-- Whether one of the quotes, folded to words between spaces, stands in one of the values of a row.
create function jarvis.says(row_of jsonb, quotes text[]) returns boolean
  language sql stable set search_path = ''
  as $$
    select exists (
      select from jsonb_each_text(row_of) as c (name, value), unnest(quotes) as q (said)
       where strpos(' ' || regexp_replace(jarvis.fold(c.value), '[^[:alnum:]]+', ' ', 'g') || ' ', q.said) > 0)
  $$;
comment on function jarvis.says(jsonb, text[]) is 'Vrai si une des citations se lit dans une des valeurs d''une ligne (fonctions internes).';

-- What holds words that are forgotten, beside the turns, facts, summaries and windows, which the program rewords: alerts
-- that quote them, what an import or an adoption set aside, and the operator's tables, as the data map says.
create function jarvis.forget_words(gym uuid, member uuid, quotes text[]) returns bigint
  language plpgsql security definer set search_path = ''
  as $$
declare
  one record;
  taken bigint;
  total bigint := 0;
begin
  quotes := array(select distinct ' ' || btrim(regexp_replace(jarvis.fold(q), '[^[:alnum:]]+', ' ', 'g')) || ' '
                    from unnest(quotes) as q where jarvis.fold(q) ~ '[[:alnum:]]');
  if not jarvis.may_touch(gym) or quotes = '{}' then
    return 0;
  end if;
  for one in
    select * from jarvis.member_tables() t
     where t.tbl not in ('public.conversation_events'::regclass, 'public.conversation_summaries'::regclass,
                         'public.member_facts'::regclass, 'jarvis.member_fact_history'::regclass,
                         'jarvis.memory_windows'::regclass, 'jarvis.summary_vectors'::regclass)
       and not (t.schema_name = 'public' and t.table_name in ('gym_members', 'jarvis_conversation_logs', 'openai_realtime_audio_events'))
     order by t.tbl::text
  loop
    taken := 0;
    if not one.mapped then
      perform jarvis.demand_map(one.schema_name || '.' || one.table_name, one.unmapped);
    elsif one.tbl in ('public.manager_alerts'::regclass, 'jarvis.adoption_remains'::regclass) or not one.by_contract then
      perform jarvis.demand_reach(one.tbl, 'delete');
      execute format('delete from %s x where %s and jarvis.says(to_jsonb(x), $3)', one.tbl, one.of_member) using gym, member, quotes;
      get diagnostics taken = row_count;
    elsif one.emptied is not null then
      perform jarvis.demand_reach(one.tbl, 'update', one.emptied);
      execute format('update %s x set %s where %s and jarvis.says(to_jsonb(x), $3)', one.tbl,
                     (select string_agg(format('%I = case when jarvis.says(jsonb_build_object(''c'', x.%I), $3) then null else x.%I end', c, c, c), ', ')
                        from unnest(one.emptied) as c), one.of_member)
        using gym, member, quotes;
      get diagnostics taken = row_count;
    end if;
    total := total + taken;
  end loop;
  return total;
end
$$;
comment on function jarvis.forget_words(uuid, uuid, text[]) is
  'Efface ce qui répète des paroles oubliées dans les alertes, les mises de côté et les tables de l''exploitant ; rend combien de lignes.';

-- An export is a copy of what was known: of what was withdrawn or forgotten since, nothing may be left in it.
create function jarvis.outdated_exports(members uuid[], made timestamptz[]) returns table (member uuid, made_at timestamptz)
  language plpgsql stable security definer set search_path = ''
  as $$
begin
  if jarvis.request_role() <> 'jarvis_system' then
    raise exception using errcode = '42501', message = 'only the system looks at exports';
  end if;
  return query
    select x.member, x.made
      from unnest(members, made) as x (member, made)
     where exists (select from jarvis.erasures e where e.member_id = x.member)
        or exists (select from public.gym_members_v2 m
                     join jarvis.consent_ledger l on l.gym_id = m.gym_id and l.member_id = m.id
                    where m.id = x.member and not l.granted and l.purpose in ('memory', 'health_memory')
                      and l.recorded_at >= x.made)
        or exists (select from public.gym_members_v2 m
                     join jarvis.forgotten_facts t on t.gym_id = m.gym_id and t.member_id = m.id
                    where m.id = x.member and t.forgotten_at >= x.made);
end
$$;
comment on function jarvis.outdated_exports(uuid[], timestamptz[]) is
  'Exports faits avant un retrait, un oubli ou un effacement de leur membre : ils disent ce qui n''est plus gardé.';

revoke all on function jarvis.says(jsonb, text[]), jarvis.forget_words(uuid, uuid, text[]),
  jarvis.outdated_exports(uuid[], timestamptz[]) from public, anon, authenticated;
grant execute on function jarvis.says(jsonb, text[]) to jarvis_writer;
grant execute on function jarvis.forget_words(uuid, uuid, text[]) to jarvis_server;
grant execute on function jarvis.outdated_exports(uuid[], timestamptz[]) to jarvis_system;
alter function jarvis.forget_words(uuid, uuid, text[]) owner to jarvis_writer;
alter function jarvis.outdated_exports(uuid[], timestamptz[]) owner to jarvis_writer;
revoke create on schema jarvis from jarvis_writer;
