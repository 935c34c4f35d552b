-- What every statement of a person pays for row level security, and what a search pays besides its distances, made less:
-- the same answers from fewer steps.
set local lock_timeout = '10s';
set local statement_timeout = '120s';
set local search_path = public, extensions;

-- Functions of plain SQL are started anew, and before PostgreSQL 18 planned anew, at each call; these keep their plans.
-- A pattern of characters says the same as the regular expression did: 32 hexadecimal digits and four hyphens in place.
create or replace function jarvis.uid() returns uuid
  language plpgsql stable set search_path = ''
  as $$
declare
  sub constant text := coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
                                nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub');
begin
  if sub like '________-____-____-____-____________' and translate(sub, '0123456789abcdefABCDEF', '') = '----' then
    return sub::uuid;
  end if;
  return null;
end
$$;

grant create on schema jarvis to jarvis_policy;
-- Replacing a function takes its owner, whom the migrating role may become without inheriting from them.
select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_policy;
create or replace function jarvis.my_gyms(roles text[] default array['super_admin', 'gym_manager', 'gym_staff']) returns uuid[]
  language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan
  as $$
declare
  who constant uuid := jarvis.uid();
  held text;
  gyms uuid[];
begin
  select u.role, u.gym_access into held, gyms from public.users u where u.id = who and u.is_active and u.role = any (roles);
  if held = 'super_admin' then
    select array_agg(g.id) into gyms from public.gyms g;
  end if;
  return coalesce(gyms, '{}');
end
$$;
select set_config('role', current_setting('jarvis.migrating_role'), true);
revoke create on schema jarvis from jarvis_policy;

-- As before. A condition that exists(…) states may be answered by reading every summary that may be read and remembering
-- them, which took a member of staff through all of them for one member's search; a value is looked up row by row.
alter policy people_select on jarvis.summary_vectors
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[])
         or (gym_id = any ((select jarvis.my_gyms(array['gym_staff']))::uuid[])
             and (select true from public.conversation_summaries s
                   where s.gym_id = summary_vectors.gym_id and s.id = summary_vectors.summary_id)));

-- As before. One plan serves members of every size: planning anew for a small one took longer than its answer.
create or replace function public.match_conversation_summaries(
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
