-- Adoption of a database that others built: what was found, what became of it, and what could not be kept in its place.
-- The search for past conversations also answers a question embedded by another known model than the gym's own.
set local lock_timeout = '10s';
set local statement_timeout = '120s';
set local search_path = public, extensions;

-- ---------------------------------------------------------------------------------------------------------
-- jarvis.adoptions: one row per adoption, and its reconciliation by table. An adoption belongs to no gym, and a key
-- between tenants' tables must hold the gym: adoption_id is a plain column.
-- ---------------------------------------------------------------------------------------------------------
create table jarvis.adoptions (
  id              uuid primary key default gen_random_uuid(),
  adopted_at      timestamptz not null default now(),
  embedding_model text not null,
  found_versions  jsonb not null default '[]' check (jsonb_typeof(found_versions) = 'array'),
  findings        jsonb not null default '[]' check (jsonb_typeof(findings) = 'array')
);

create table jarvis.adoption_tables (
  adoption_id uuid not null,
  table_name  text not null,
  found       bigint not null check (found >= 0),
  kept        bigint not null check (kept >= 0),
  held        bigint not null check (held >= 0),
  changed     bigint not null check (changed >= 0),
  primary key (adoption_id, table_name),
  -- No row lost: every row is in its table, or held in jarvis.adoption_remains.
  constraint adoption_tables_add_up check (found = kept + held and changed <= kept)
);

-- ---------------------------------------------------------------------------------------------------------
-- jarvis.adoption_remains: values, and whole rows, that the schema refuses; with their member they are erased
-- ---------------------------------------------------------------------------------------------------------
create table jarvis.adoption_remains (
  id          bigint generated always as identity primary key,
  adoption_id uuid not null,
  gym_id      uuid references public.gyms (id) on delete cascade,
  member_id   uuid,
  table_name  text not null,
  row_key     text,
  column_name text,
  value       jsonb not null,
  reason      text not null,
  unique (gym_id, id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade,
  constraint adoption_remains_member_has_gym check (member_id is null or gym_id is not null)
);
create index adoption_remains_member on jarvis.adoption_remains (gym_id, member_id);
create index adoption_remains_adoption on jarvis.adoption_remains (adoption_id);

-- ---------------------------------------------------------------------------------------------------------
-- jarvis.adopted_members: for whom an operator may still state what they agreed to before
-- ---------------------------------------------------------------------------------------------------------
create table jarvis.adopted_members (
  gym_id      uuid not null,
  member_id   uuid not null,
  adoption_id uuid not null,
  primary key (gym_id, member_id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
create index adopted_members_adoption on jarvis.adopted_members (adoption_id);

-- ---------------------------------------------------------------------------------------------------------
-- Who may do what: the owner alone. It is the operator's paper, read with the commands of an operator.
-- ---------------------------------------------------------------------------------------------------------
alter table jarvis.adoptions enable row level security;
alter table jarvis.adoptions force row level security;
alter table jarvis.adoption_tables enable row level security;
alter table jarvis.adoption_tables force row level security;
alter table jarvis.adoption_remains enable row level security;
alter table jarvis.adoption_remains force row level security;
alter table jarvis.adopted_members enable row level security;
alter table jarvis.adopted_members force row level security;
revoke all on jarvis.adoptions, jarvis.adoption_tables, jarvis.adoption_remains, jarvis.adopted_members
  from public, anon, authenticated, service_role;

-- ---------------------------------------------------------------------------------------------------------
-- The search: a vector says by its length which model may have made it
-- ---------------------------------------------------------------------------------------------------------
-- A shorter model's vectors are filled with zeros. What lies beyond the dimensions of the gym's model cannot come from
-- it: such a question is answered from the summaries of the smallest known model that it fits, and from these alone.
create function jarvis.calibration_for(gym uuid, query vector, out model text, out a double precision, out c double precision)
  language plpgsql stable security definer set search_path = pg_catalog, public, extensions, pg_temp
  as $$
declare
  own record;
  wanted integer;
begin
  select m.model, m.a, m.c, m.dimensions into own
    from public.gyms g join jarvis.embedding_models m on m.model = g.embedding_model where g.id = gym;
  model := own.model;
  a := own.a;
  c := own.c;
  wanted := vector_dims(query);
  if own.dimensions is null or own.dimensions >= wanted
     or vector_norm(subvector(query, own.dimensions + 1, wanted - own.dimensions)) = 0 then
    return;
  end if;
  select m.model, m.a, m.c into model, a, c
    from jarvis.embedding_models m
   where m.dimensions > own.dimensions
     and (m.dimensions >= wanted or vector_norm(subvector(query, m.dimensions + 1, wanted - m.dimensions)) = 0)
   order by m.dimensions, m.model limit 1;
end
$$;
comment on function jarvis.calibration_for(uuid, vector) is
  'Modèle qui a pu produire cette empreinte (celui de la salle, sinon le plus petit qui convient) et sa calibration.';

create or replace function public.match_conversation_summaries(
  query_embedding vector(1536),
  filter_member_id uuid,
  match_threshold double precision default 0.7,
  match_count integer default 5)
  returns table (id uuid, session_id text, summary_text text, key_topics text[], sentiment text,
                 similarity double precision, created_at timestamptz)
  language plpgsql stable set search_path = pg_catalog, public, extensions, pg_temp
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
  select * into scale from jarvis.calibration_for(of_gym, query_embedding);
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

grant create on schema jarvis to jarvis_writer;
revoke all on function jarvis.calibration_for(uuid, vector) from public, anon, authenticated;
grant execute on function jarvis.calibration_for(uuid, vector) to jarvis_server, authenticated, service_role;
alter function jarvis.calibration_for(uuid, vector) owner to jarvis_writer;
revoke create on schema jarvis from jarvis_writer;

-- ---------------------------------------------------------------------------------------------------------
-- Comments and data map
-- ---------------------------------------------------------------------------------------------------------
comment on table jarvis.adoptions is 'Reprises d''une base construite par d''autres.';
comment on column jarvis.adoptions.id is 'Identifiant (UUID).';
comment on column jarvis.adoptions.adopted_at is 'Moment de la reprise.';
comment on column jarvis.adoptions.embedding_model is 'Modèle déclaré des empreintes trouvées.';
comment on column jarvis.adoptions.found_versions is 'Migrations inscrites avant la reprise.';
comment on column jarvis.adoptions.findings is 'Ce qui a été constaté et comment c''est réglé, sans donnée de membre.';
comment on table jarvis.adoption_tables is 'Rapprochement d''une reprise, table par table : trouvées = gardées + mises de côté.';
comment on column jarvis.adoption_tables.adoption_id is 'Reprise.';
comment on column jarvis.adoption_tables.table_name is 'Table.';
comment on column jarvis.adoption_tables.found is 'Lignes trouvées.';
comment on column jarvis.adoption_tables.kept is 'Lignes gardées à leur place.';
comment on column jarvis.adoption_tables.held is 'Lignes entières mises de côté.';
comment on column jarvis.adoption_tables.changed is 'Lignes gardées dont une valeur a été mise de côté.';
comment on table jarvis.adoption_remains is 'Valeurs et lignes qu''une reprise n''a pu garder à leur place, telles qu''elles étaient.';
comment on column jarvis.adoption_remains.id is 'Numéro.';
comment on column jarvis.adoption_remains.adoption_id is 'Reprise.';
comment on column jarvis.adoption_remains.gym_id is 'Salle, si elle est connue.';
comment on column jarvis.adoption_remains.member_id is 'Membre, s''il est connu.';
comment on column jarvis.adoption_remains.table_name is 'Table d''origine.';
comment on column jarvis.adoption_remains.row_key is 'Clé de la ligne d''origine.';
comment on column jarvis.adoption_remains.column_name is 'Colonne d''origine, ou vide pour une ligne entière.';
comment on column jarvis.adoption_remains.value is 'Valeur d''origine.';
comment on column jarvis.adoption_remains.reason is 'Pourquoi : code stable.';
comment on table jarvis.adopted_members is 'Membres venus d''une reprise.';
comment on column jarvis.adopted_members.gym_id is 'Salle.';
comment on column jarvis.adopted_members.member_id is 'Membre.';
comment on column jarvis.adopted_members.adoption_id is 'Reprise.';

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
select 'jarvis', 'adoptions', c.name, 'public', 'sans limite', false, 'sans objet (aucun membre)'
from (values ('id'), ('adopted_at'), ('embedding_model'), ('found_versions'), ('findings')) as c (name)
union all
select 'jarvis', 'adoption_tables', c.name, 'public', 'sans limite', false, 'sans objet (aucun membre)'
from (values ('adoption_id'), ('table_name'), ('found'), ('kept'), ('held'), ('changed')) as c (name)
union all
select 'jarvis', 'adoption_remains', c.name, case c.name when 'value' then 'health' else 'personal' end,
       'jusqu''au règlement par l''opérateur', true, 'avec le membre (cascade) ; sans membre connu, par l''opérateur'
from (values ('id'), ('adoption_id'), ('gym_id'), ('member_id'), ('table_name'), ('row_key'), ('column_name'),
             ('value'), ('reason')) as c (name)
union all
select 'jarvis', 'adopted_members', c.name, 'personal', 'durée de l''abonnement', false, 'avec le membre (cascade)'
from (values ('gym_id'), ('member_id'), ('adoption_id')) as c (name);
