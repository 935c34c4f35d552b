-- The functions of the registry as they were; slots stay as they are.
set local lock_timeout = '10s';

create or replace function jarvis.is_health_fact(category text, fact_key text, fact_value jsonb, slot text) returns boolean
  language sql immutable set search_path = ''
  as $$
    select category = 'injury'
        or coalesce(slot ~ '^(injury|health|medical)', false)
        or coalesce(lower(fact_value ->> 'kind') in
             ('injury', 'pain', 'pregnancy', 'medication', 'allergy', 'chronic', 'chronic_condition', 'condition',
              'illness', 'surgery', 'disability', 'distress', 'mental_health', 'health'), false)
        or coalesce(fact_value ->> 'sensitivity' = 'health', false)
        or (category = 'concern' and fact_key ~* ('(^|_)(injur|pain|ache|hurt|pregnan|medic|allerg|asthm|diabet|surger|illness'
             || '|depress|distress|health|douleur|mal_|blessure|grossesse|enceinte|maladie|operation|sante)'))
  $$;

grant create on schema jarvis to jarvis_writer;
select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_writer;
create or replace function jarvis.slot_of(category text, fact_key text, fact_value jsonb) returns text
  language plpgsql stable security definer set search_path = ''
  as $$
declare
  key_form constant text := jarvis.slot_form(fact_key);
  place_form constant text := jarvis.slot_form(concat_ws(' ', fact_value ->> 'location', fact_value ->> 'side'));
  named_form constant text := jarvis.slot_form(concat_ws(' ', fact_value ->> 'condition', fact_value ->> 'detail'));
  kind text;
  what text;
begin
  if category = 'injury' then
    kind := coalesce(jarvis.slot_word('injury', key_form), jarvis.slot_word('injury', jarvis.slot_form(fact_value ->> 'kind')));
    if kind in ('pregnancy', 'postpartum', 'restriction') then
      return 'injury.' || kind;
    elsif kind in ('allergy', 'medication') then
      return 'injury.' || kind || coalesce('.' || jarvis.slot_substance(kind, key_form, jarvis.slot_form(fact_value ->> 'detail')), '');
    elsif kind = 'surgery' then
      return 'injury.surgery' || coalesce('.' || jarvis.slot_place(key_form, place_form), '');
    end if;
    what := jarvis.slot_word('symptom', key_form);
    if what is not null then
      return 'injury.symptom.' || what;
    end if;
    what := coalesce(jarvis.slot_word('chronic', key_form),
                     case when fact_value ->> 'kind' like 'chronic%' then jarvis.slot_word('chronic', named_form) end);
    if what is not null then
      return 'injury.chronic.' || what;
    end if;
    return 'injury.' || coalesce(jarvis.slot_place(key_form, place_form),
                                 'condition.' || jarvis.slot_word('condition', key_form),
                                 'condition.' || jarvis.slot_word('condition', named_form));
  elsif category = 'goal' then
    kind := coalesce(jarvis.slot_word('goal', jarvis.slot_form(fact_value ->> 'kind')), jarvis.slot_word('goal', key_form));
    what := coalesce(jarvis.slot_word('what', key_form), jarvis.slot_word('what', jarvis.slot_form(fact_value ->> 'what')));
    return 'goal.' || kind
           || case when kind in ('run', 'event', 'strength', 'skill', 'endurance') then coalesce('.' || what, '') else '' end;
  elsif category = 'preference' then
    return 'preference.' || coalesce(jarvis.slot_word('preference', key_form),
                                     jarvis.slot_word('preference', jarvis.slot_form(fact_value ->> 'subject')));
  elsif category = 'progress' then
    kind := coalesce(jarvis.slot_word('progress', key_form), jarvis.slot_word('progress', jarvis.slot_form(fact_value ->> 'metric')));
    if kind = 'recovery' then
      return 'progress.recovery' || coalesce('.' || coalesce(jarvis.slot_place(key_form, place_form),
                                                             jarvis.slot_word('condition', key_form)), '');
    end if;
    what := coalesce(jarvis.slot_word('what', key_form), jarvis.slot_word('what', jarvis.slot_form(fact_value ->> 'exercise')));
    return 'progress.' || kind || coalesce('.' || what, '');
  end if;
  return 'concern.' || coalesce(jarvis.slot_word('concern', key_form),
                                jarvis.slot_word('concern', jarvis.slot_form(fact_value ->> 'subject')));
end
$$;

create or replace function jarvis.propose_merge() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if tg_op = 'DELETE' then
    delete from jarvis.fact_proposals p where p.gym_id = old.gym_id and old.id in (p.first_fact, p.other_fact);
    return null;
  end if;
  if not new.is_active then
    return null;
  end if;
  insert into jarvis.fact_proposals (gym_id, member_id, first_fact, other_fact, reason)
  select f.gym_id, f.member_id, least(f.id, new.id), greatest(f.id, new.id), alike.reason
    from public.member_facts f
   cross join lateral (
     select case
       when f.slot = new.slot then 'same_slot'
       when f.category = 'injury' and (starts_with(f.slot, new.slot || '.') or starts_with(new.slot, f.slot || '.'))
         and greatest(f.slot, new.slot) ~ '\.(right|left|both)$' then 'side_unknown'
       when jarvis.sorted_words(f.fact_key) = jarvis.sorted_words(new.fact_key) then 'same_words'
       when (f.slot is null or new.slot is null) and f.fact_value = new.fact_value and f.fact_value <> '{}' then 'same_value'
     end as reason) as alike
   where f.gym_id = new.gym_id and f.member_id = new.member_id and f.category = new.category
     and f.id <> new.id and f.is_active and alike.reason is not null
  on conflict do nothing;
  return null;
end
$$;

select set_config('role', current_setting('jarvis.migrating_role'), true);
revoke create on schema jarvis from jarvis_writer;
revoke update (reason, state, decided_by, decided_at, created_at) on jarvis.fact_proposals from jarvis_writer;
update jarvis.fact_slots set identity = '{subject}' where slot = 'concern';
comment on column jarvis.fact_slots.identity is 'Ce qui distingue deux cases, dans l''ordre (partie du corps, côté, exercice, …).';
comment on column jarvis.fact_slots.many is 'Vrai si un membre peut en avoir plusieurs.';
