set local lock_timeout = '10s';
set local search_path = public, extensions;

-- It goes by its owner, whom the migrating role may become without inheriting from them.
select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_writer;
drop function public.match_conversation_summaries(extensions.vector, uuid, double precision, integer);
select set_config('role', current_setting('jarvis.migrating_role'), true);

create function public.match_conversation_summaries(
  query_embedding vector(1536),
  filter_member_id uuid,
  match_threshold double precision default 0.7,
  match_count integer default 5)
  returns table (id uuid, session_id text, summary_text text, key_topics text[], sentiment text,
                 similarity double precision, created_at timestamptz)
  language plpgsql stable
  set search_path = pg_catalog, public, extensions, pg_temp
  set plan_cache_mode = force_generic_plan
  as $$
declare
  q constant halfvec(1536) := query_embedding::halfvec;
  least_similar constant double precision := coalesce(match_threshold, 0.7);
  most constant integer := least(greatest(coalesce(match_count, 5), 0), 200);
  of_gym uuid;
  scale record;
begin
  select m.gym_id into of_gym from public.gym_members_v2 m where m.id = filter_member_id;
  if of_gym is null or q is null then
    return;
  end if;
  scale := jarvis.calibration_for(of_gym, query_embedding);
  return query
    select s.id, s.session_id, s.summary_text, s.key_topics, s.sentiment, near.similarity, s.created_at
      from (select ranked.*, 1 / (1 + exp(least(-scale.a * (1 - ranked.distance - scale.c), 700))) as similarity
              from (select v.summary_id, v.created_at, v.emb <=> q as distance
                      from jarvis.summary_vectors v
                     where v.member_id = filter_member_id and v.gym_id = of_gym and v.model = scale.model
                     order by distance, v.created_at desc, v.summary_id
                     limit most) as ranked
             -- The cosine of a zero vector is NaN, which sorts and compares above everything.
             where ranked.distance < 'NaN') as near
      join public.conversation_summaries s on s.gym_id = of_gym and s.id = near.summary_id
     where near.similarity >= least_similar
     order by near.distance, near.created_at desc, near.summary_id;
end
$$;
comment on function public.match_conversation_summaries(vector, uuid, double precision, integer) is
  'Résumés d''un membre les plus proches d''une question : recherche exacte, similarité calibrée par modèle (0,7 = sans doute pertinent).';
revoke all on function public.match_conversation_summaries(vector, uuid, double precision, integer) from public, anon;
grant execute on function public.match_conversation_summaries(vector, uuid, double precision, integer)
  to jarvis_server, authenticated, service_role;
