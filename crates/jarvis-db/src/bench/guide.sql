-- The guide's design, built as written, in a schema of its own.
create schema guide;
create table guide.users (id uuid primary key, gym_access uuid[] not null);
create table guide.gym_members_v2 (id uuid primary key, gym_id uuid not null);
create table guide.conversation_summaries (
  id uuid primary key default gen_random_uuid(),
  session_id text not null,
  member_id uuid not null references guide.gym_members_v2 (id),
  gym_id uuid not null,
  summary_text text not null,
  key_topics text[],
  sentiment text check (sentiment in ('positive', 'neutral', 'negative', 'mixed')),
  embedding vector(1536),
  session_duration_seconds integer,
  turn_count integer,
  created_at timestamptz default now()
);
create index idx_conv_summaries_embedding on guide.conversation_summaries
  using ivfflat (embedding vector_cosine_ops) with (lists = 100);
alter table guide.users enable row level security;
alter table guide.gym_members_v2 enable row level security;
alter table guide.conversation_summaries enable row level security;
create policy "Users see themselves" on guide.users for select using (id = auth.uid());
create policy "Gym managers can view members" on guide.gym_members_v2 for select using (
  gym_id in (select gym_id from unnest((select gym_access from guide.users where id = auth.uid())) as gym_id));
create policy "Gym managers can view summaries" on guide.conversation_summaries for select using (
  gym_id in (select gym_id from unnest((select gym_access from guide.users where id = auth.uid())) as gym_id));
-- The guide gives the signature alone; this body is the usual one.
create function guide.match_conversation_summaries(
  query_embedding vector(1536), filter_member_id uuid, match_threshold float default 0.7, match_count int default 5)
  returns table (id uuid, session_id text, summary_text text, similarity float, created_at timestamptz)
  language sql stable
  as $$
    select s.id, s.session_id, s.summary_text, 1 - (s.embedding <=> query_embedding), s.created_at
      from guide.conversation_summaries s
     where s.member_id = filter_member_id and 1 - (s.embedding <=> query_embedding) > match_threshold
     order by s.embedding <=> query_embedding
     limit match_count
  $$;
grant usage on schema guide to authenticated;
grant select on all tables in schema guide to authenticated;
