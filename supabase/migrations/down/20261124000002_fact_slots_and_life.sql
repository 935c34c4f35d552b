-- Facts without registry, proposals and life. Proposals, and how far the ends of facts had come, are lost.
set local lock_timeout = '10s';
set local search_path = public, extensions;

grant create on schema jarvis to jarvis_writer;
drop trigger b10_slot on public.member_facts;
drop trigger b30_expiry on public.member_facts;
drop trigger c40_propose on public.member_facts;
drop function jarvis.fact_life(public.member_facts, timestamptz);

create or replace function jarvis.fact_refusal(was public.member_facts, becomes public.member_facts) returns text
  language plpgsql stable set search_path = ''
  as $$
declare
  session constant text := jarvis.change_session(becomes.source_session_id);
  -- A change that names no conversation of its own keeps the source of what it changes.
  named constant boolean := nullif(current_setting('app.session_id', true), '') is not null
                            or becomes.source_session_id is distinct from was.source_session_id;
  value_changes constant boolean := becomes.fact_value <> was.fact_value;
  began timestamptz;
begin
  if jarvis.request_role() = 'authenticated' then
    return null;
  end if;
  if not was.is_active then
    -- Replaying an old conversation, or the one that ended the fact, must not bring it back.
    if (becomes.is_active or becomes.fact_value <> was.fact_value)
       and (session is null or session is not distinct from was.source_session_id
            or exists (select from jarvis.member_fact_history h
                        where h.gym_id = was.gym_id and h.fact_id = was.id and h.session_id = session
                          and h.operation in ('insert', 'update', 'confirm', 'retire', 'revive'))) then
      return 'retired_fact';
    end if;
  end if;
  -- What was said first never undoes what was said, or corrected by a person, since: conversations may be processed
  -- late, twice, and in any order.
  if (named or value_changes) and (value_changes or becomes.is_active <> was.is_active) then
    select s.started_at into began from public.conversation_sessions s
     where s.gym_id = was.gym_id and s.session_id = session;
    if exists (select from jarvis.member_fact_history h
                where h.gym_id = was.gym_id and h.fact_id = was.id and h.operation <> 'refuse'
                  and (h.actor like 'user:%' or h.actor = 'authenticated') and h.recorded_at > began) then
      return 'corrected_by_person';
    end if;
    if named and exists (
      select from public.conversation_sessions s
       where s.gym_id = was.gym_id and s.session_id <> session and s.started_at > began
         and (s.session_id = was.source_session_id
              or s.session_id in (select h.session_id from jarvis.member_fact_history h
                                   where h.gym_id = was.gym_id and h.fact_id = was.id and h.operation <> 'refuse'))) then
      return 'older_session';
    end if;
  end if;
  if was.is_active and becomes.is_active and value_changes then
    if was.times_confirmed > 0 and (becomes.confidence < was.confidence or not becomes.verified) then
      return 'confirmed_fact';
    elsif becomes.confidence < was.confidence then
      return 'lower_confidence';
    end if;
  end if;
  return null;
end
$$;

-- Replacing a function takes its owner, whom the migrating role may become without inheriting from them.
select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_writer;
create or replace function jarvis.guard_fact() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
declare
  by_person constant boolean := jarvis.request_role() = 'authenticated';
  refusal text;
begin
  -- Not the caller's gym: answer nothing here, row level security refuses the row next.
  if jarvis.is_elsewhere(new.gym_id) then
    return new;
  end if;
  new.confidence := coalesce(new.confidence, 0.8);
  new.is_active := coalesce(new.is_active, true);
  if tg_op = 'INSERT' then
    new.times_confirmed := 0;
    new.last_confirmed_at := null;
  else
    new.times_confirmed := old.times_confirmed;
    new.last_confirmed_at := old.last_confirmed_at;
    new.created_at := old.created_at;
    new.updated_at := now();
    -- Ending a fact keeps what it was, names the conversation that ended it, and needs no consent.
    if old.is_active and not new.is_active and not by_person then
      new.fact_value := old.fact_value;
      new.confidence := old.confidence;
      new.verified := old.verified;
      new.source_quote := old.source_quote;
      new.source_event_id := old.source_event_id;
      refusal := jarvis.fact_refusal(old, new);
      if refusal is not null then
        perform jarvis.record_refusal(old, new, refusal);
        return old;
      end if;
      return new;
    end if;
  end if;

  if tg_op = 'INSERT' or (new.is_active and not old.is_active) or new.source_quote is distinct from old.source_quote
     or (new.fact_value, new.category, new.fact_key) is distinct from (old.fact_value, old.category, old.fact_key) then
    perform jarvis.require_consent(new.gym_id, new.member_id, 'memory');
    if jarvis.is_health_fact(new.category, new.fact_key, new.fact_value, new.slot) then
      perform jarvis.require_consent(new.gym_id, new.member_id, 'health_memory');
    end if;
    perform jarvis.check_fact_value(new.category, new.fact_value);
  end if;

  -- A new value from a new conversation does not inherit the old value's evidence, unless it was said there again.
  if tg_op = 'UPDATE' and new.fact_value <> old.fact_value and new.source_quote = old.source_quote
     and new.source_session_id is distinct from old.source_session_id
     and not coalesce(jarvis.quote_is_said(new.gym_id, new.member_id, new.source_session_id, new.source_quote), false) then
    new.source_quote := null;
    new.source_event_id := null;
  end if;
  if tg_op = 'INSERT' or (new.source_quote, new.source_session_id, new.fact_value)
                         is distinct from (old.source_quote, old.source_session_id, old.fact_value) then
    new.verified := new.source_quote is not null and new.source_session_id is not null
      and jarvis.quote_is_said(new.gym_id, new.member_id, new.source_session_id, new.source_quote);
    if not new.verified and not by_person then
      new.confidence := least(new.confidence, 0.5);
    end if;
  else
    new.verified := old.verified;
  end if;
  if tg_op = 'INSERT' then
    return new;
  end if;

  refusal := jarvis.fact_refusal(old, new);
  if refusal is not null then
    perform jarvis.record_refusal(old, new, refusal);
    return old;
  end if;
  if by_person then
    if new.is_active then
      new.times_confirmed := old.times_confirmed + 1;
      new.last_confirmed_at := now();
    end if;
  elsif new.fact_value <> old.fact_value or not old.is_active then
    new.times_confirmed := 0;
    new.last_confirmed_at := null;
  else
    new := jarvis.same_value_again(old, new);
  end if;
  if to_jsonb(new) - 'updated_at' = to_jsonb(old) - 'updated_at' then
    new.updated_at := old.updated_at;
  end if;
  return new;
end
$$;
select set_config('role', current_setting('jarvis.migrating_role'), true);

create or replace function jarvis.same_value_again(was public.member_facts, becomes public.member_facts) returns public.member_facts
  language plpgsql stable set search_path = ''
  as $$
declare
  session constant text := jarvis.change_session(becomes.source_session_id);
  said_again constant boolean := session is not null
    and not exists (select from jarvis.member_fact_history h
                     where h.gym_id = was.gym_id and h.fact_id = was.id and h.session_id = session
                       and h.operation in ('insert', 'update', 'confirm', 'revive'));
begin
  if was.verified and not becomes.verified or not said_again then
    becomes.source_session_id := was.source_session_id;
    becomes.source_quote := was.source_quote;
    becomes.source_event_id := was.source_event_id;
    becomes.verified := was.verified;
  end if;
  becomes.confidence := greatest(was.confidence, becomes.confidence);
  if said_again then
    becomes.times_confirmed := was.times_confirmed + 1;
    becomes.last_confirmed_at := now();
  end if;
  return becomes;
end
$$;

select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_writer;
create or replace function jarvis.record_fact() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
declare
  of_fact public.member_facts := case when tg_op = 'DELETE' then old else new end;
  kind text;
  version_starts boolean;
  change bigint;
begin
  -- Erased with its member: nothing is left to be remembered by.
  if tg_op = 'DELETE' and not exists (select from public.gym_members_v2 m
                                       where m.gym_id = old.gym_id and m.id = old.member_id) then
    return null;
  end if;
  -- Refused, or nothing new.
  if tg_op = 'UPDATE' and to_jsonb(new) - 'updated_at' = to_jsonb(old) - 'updated_at' then
    return null;
  end if;
  kind := case
    when tg_op <> 'UPDATE' then lower(tg_op)
    when old.is_active and not new.is_active then 'retire'
    when new.is_active and not old.is_active then 'revive'
    when new.fact_value = old.fact_value and new.times_confirmed > old.times_confirmed then 'confirm'
    else 'update' end;
  version_starts := kind in ('insert', 'update', 'revive');
  insert into jarvis.member_fact_history
         (fact_id, gym_id, member_id, category, fact_key, operation, old, new, session_id, valid_from)
  values (of_fact.id, of_fact.gym_id, of_fact.member_id, of_fact.category, of_fact.fact_key, kind,
          case when tg_op <> 'INSERT' then to_jsonb(old) end, case when tg_op <> 'DELETE' then to_jsonb(new) end,
          jarvis.change_session(of_fact.source_session_id), case when version_starts then now() end)
  returning id into change;
  if kind <> 'confirm' then
    update jarvis.member_fact_history h set valid_to = now(), superseded_by = change
     where h.gym_id = of_fact.gym_id and h.fact_id = of_fact.id and h.id <> change
       and h.valid_from is not null and h.valid_to is null;
  end if;
  return null;
end
$$;
select set_config('role', current_setting('jarvis.migrating_role'), true);

select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_writer;
create or replace function jarvis.cautions_of(member uuid)
  returns table (member_id uuid, category text, location text)
  language sql stable security definer set search_path = ''
  as $$
    select f.member_id, f.category,
           case when f.category = 'injury'
                then coalesce(nullif(concat_ws('_', f.fact_value ->> 'side', f.fact_value ->> 'location'), ''),
                              f.fact_value ->> 'kind')
                else f.fact_value ->> 'kind' end
      from public.member_facts f
     where f.member_id = cautions_of.member
       and f.is_active and (f.expires_at is null or f.expires_at > now())
       and jarvis.is_health_fact(f.category, f.fact_key, f.fact_value, f.slot)
       and jarvis.may_touch(f.gym_id)
       and jarvis.consent_given(f.gym_id, f.member_id, 'share_with_staff')
     order by f.category, f.created_at, f.id
  $$;
select set_config('role', current_setting('jarvis.migrating_role'), true);

alter table public.member_facts drop column confirmed_session_id;
delete from jarvis.data_map m
 where m.schema_name = 'jarvis' and m.table_name in ('fact_slots', 'fact_proposals', 'fact_endings')
    or (m.schema_name, m.table_name, m.column_name) = ('public', 'member_facts', 'confirmed_session_id');
drop table jarvis.fact_endings;
drop table jarvis.fact_proposals;
drop function jarvis.propose_merge();
drop function jarvis.sorted_words(text);
drop function jarvis.by_person();
drop function jarvis.fill_expiry();
drop function jarvis.fill_slot();
drop function jarvis.slot_rules(text, text);
drop function jarvis.slot_of(text, text, jsonb);
drop function jarvis.slot_substance(text, text, text);
drop function jarvis.slot_place(text, text);
drop function jarvis.slot_word(text, text);
drop function jarvis.slot_form(text);
drop function jarvis.slot_words();
drop table jarvis.fact_slots;
revoke create on schema jarvis from jarvis_writer;
