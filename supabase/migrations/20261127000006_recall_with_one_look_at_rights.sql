-- The same answers, with the rights of who asks looked up once instead of by each table's policy.
set local lock_timeout = '10s';
set local statement_timeout = '120s';
set local search_path = public, extensions;

-- As before, but it checks the gym itself, as jarvis.recall_memory does: each policy started a look at the caller's rights
-- of its own, and they were a quarter of what a search took besides its distances. What a policy of the tables lets through is
-- what this lets through: a person's gyms, and of staff no summary that tells of health; the server's gym; everything to who
-- stands above policies.
create or replace function public.match_conversation_summaries(
  query_embedding vector(1536),
  filter_member_id uuid,
  match_threshold double precision default 0.7,
  match_count integer default 5)
  returns table (id uuid, session_id text, summary_text text, key_topics text[], sentiment text,
                 similarity double precision, created_at timestamptz)
  language plpgsql stable security definer
  set search_path = pg_catalog, public, extensions, pg_temp
  set plan_cache_mode = force_generic_plan
  as $$
declare
  q constant halfvec(1536) := query_embedding::halfvec;
  least_similar constant double precision := coalesce(match_threshold, 0.7);
  most constant integer := least(greatest(coalesce(match_count, 5), 0), 200);
  with_health boolean := true;
  of_gym uuid;
  scale record;
begin
  select m.gym_id, g.embedding_model as model, e.a, e.c, e.dimensions into scale
    from public.gym_members_v2 m
    join public.gyms g on g.id = m.gym_id
    left join jarvis.embedding_models e on e.model = g.embedding_model
   where m.id = filter_member_id;
  of_gym := scale.gym_id;
  if of_gym is null or q is null then
    return;
  end if;
  -- The setting names who asked, whoever owns the function.
  if current_setting('role', true) = 'authenticated' then
    with_health := of_gym = any (jarvis.my_gyms(array['super_admin', 'gym_manager']));
    if not with_health and not of_gym = any (jarvis.my_gyms(array['gym_staff'])) then
      return;
    end if;
  elsif not jarvis.may_touch(of_gym) then
    return;
  end if;
  if scale.dimensions < vector_dims(query_embedding) then
    select f.model, f.a, f.c into scale from jarvis.calibration_for(of_gym, query_embedding) f;
  end if;
  return query
    select s.id, s.session_id, s.summary_text, s.key_topics, s.sentiment, near.similarity, s.created_at
      from (select ranked.*, 1 / (1 + exp(least(-scale.a * (1 - ranked.distance - scale.c), 700))) as similarity
              from (select v.summary_id, v.created_at, v.emb <=> q as distance
                      from jarvis.summary_vectors v
                     where v.member_id = filter_member_id and v.gym_id = of_gym and v.model = scale.model
                       and (with_health or (select not s.tells_health from public.conversation_summaries s
                                             where s.gym_id = of_gym and s.id = v.summary_id))
                     order by distance, v.created_at desc, v.summary_id
                     limit most) as ranked
             -- The cosine of a zero vector is NaN, which sorts and compares above everything.
             where ranked.distance < 'NaN') as near
      join public.conversation_summaries s on s.gym_id = of_gym and s.id = near.summary_id
     where near.similarity >= least_similar
     order by near.distance, near.created_at desc, near.summary_id;
end
$$;
grant create on schema public to jarvis_writer;
alter function public.match_conversation_summaries(vector, uuid, double precision, integer) owner to jarvis_writer;
revoke create on schema public from jarvis_writer;
