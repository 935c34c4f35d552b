-- What the new tables' rules refuse is settled here, without losing any of it.

-- Changes one column of the rows that `which` picks; the original is kept when there was one.
create function jarvis_adoption.change(tbl text, column_name text, becomes text, which text, why text) returns bigint
  language plpgsql as $$
declare
  hits bigint;
begin
  execute format('create unlogged table jarvis_adoption.hit as select n.__row from jarvis_adoption.new_%I n where n.__held is null and (%s)', tbl, which);
  get diagnostics hits = row_count;
  if hits > 0 then
    if exists (select from jarvis_adoption.old_columns o where o.tbl = change.tbl and o.col = column_name) then
      execute format('insert into jarvis_adoption.remains (place, spot, col, reason)
                      select %1$L, n.__row, %2$L, %3$L from jarvis_adoption.new_%1$I n join jarvis_adoption.hit h on h.__row = n.__row
                       where n.%2$I is not null on conflict do nothing', tbl, column_name, why);
    end if;
    execute format('update jarvis_adoption.new_%1$I n set %2$I = %3$s from jarvis_adoption.hit h where h.__row = n.__row', tbl, column_name, becomes);
  end if;
  drop table jarvis_adoption.hit;
  return hits;
end
$$;

create function jarvis_adoption.hold(tbl text, which text, why text) returns bigint language plpgsql as $$
declare
  hits bigint;
begin
  execute format('update jarvis_adoption.new_%I n set __held = %L where n.__held is null and (%s)', tbl, why, which);
  get diagnostics hits = row_count;
  if hits > 0 then
    perform jarvis_adoption.say(why, 'settled', tbl, hits, 'these rows have no place in the table',
      'held whole in jarvis.adoption_remains');
  end if;
  return hits;
end
$$;

-- The keys of up to five rows that were found bad, for the eyes of who must mend them.
create function jarvis_adoption.sample(tbl text) returns text language plpgsql as $$
declare
  keys text;
begin
  execute format('select string_agg(%2$I::text, '', '') from (select n.%2$I from jarvis_adoption.new_%1$I n join jarvis_adoption.bad b on b.spot = n.__row order by 1 limit 5) as few',
    tbl, (select key from jarvis_adoption.moved where name = tbl)) into keys;
  return keys;
end
$$;

-- Rows for which a rule does not hold, into `bad`. A rule may fail with an error instead of false (a time zone that
-- nobody knows): then each row is asked on its own.
create function jarvis_adoption.find_bad(tbl text, rule text) returns bigint language plpgsql as $$
declare
  spot text;
begin
  delete from jarvis_adoption.bad;
  begin
    execute format('insert into jarvis_adoption.bad select __row from jarvis_adoption.new_%I where __held is null and not (%s)', tbl, rule);
  exception when others then
    for spot in execute format('select __row from jarvis_adoption.new_%I where __held is null', tbl) loop
      begin
        execute format('insert into jarvis_adoption.bad select __row from jarvis_adoption.new_%I where __row = %L and not (%s)', tbl, spot, rule);
      exception when others then
        insert into jarvis_adoption.bad values (spot) on conflict do nothing;
      end;
    end loop;
  end;
  return (select count(*) from jarvis_adoption.bad);
end
$$;

create function jarvis_adoption.refuse(tbl text, code text, detail text, hits bigint) returns void language plpgsql as $$
begin
  if (select parent from jarvis_adoption.moved where name = tbl) then
    perform jarvis_adoption.say(code, 'blocking', tbl, hits, detail, format('correct these rows of public.%I first: %s', tbl, jarvis_adoption.sample(tbl)));
  else
    perform jarvis_adoption.hold(tbl, 'n.__row in (select spot from jarvis_adoption.bad)', code);
  end if;
end
$$;

create function jarvis_adoption.settle_checks(tbl text) returns void language plpgsql as $$
declare
  rule record;
  hits bigint;
  cleared record;
begin
  for rule in select c.conname, c.conkey, c.conrelid, pg_get_expr(c.conbin, c.conrelid) as expr from pg_constraint c
               where c.conrelid = to_regclass(format('public.%I', tbl)) and c.contype = 'c' order by c.conname loop
    hits := jarvis_adoption.find_bad(tbl, rule.expr);
    if hits > 0 then
      select a.attname::text as col, n.attnotnull, n.def into cleared
        from pg_attribute a join jarvis_adoption.new_columns n on n.tbl = settle_checks.tbl and n.col = a.attname
       where a.attrelid = rule.conrelid and a.attnum = any (rule.conkey)
         and (not n.attnotnull or n.def is not null and cardinality(rule.conkey) = 1)
       order by n.attnotnull, n.attnum desc limit 1;
      if found then
        perform jarvis_adoption.change(tbl, cleared.col, case when cleared.attnotnull then cleared.def else 'null' end,
          'n.__row in (select spot from jarvis_adoption.bad)', 'check:' || rule.conname);
        perform jarvis_adoption.say('value_refused', 'settled', tbl || '.' || cleared.col, hits, rule.expr,
          case when cleared.attnotnull then 'replaced by the default' else 'left empty' end || '; the originals are kept in jarvis.adoption_remains');
      else
        perform jarvis_adoption.refuse(tbl, 'value_refused', rule.expr, hits);
      end if;
    end if;
  end loop;
end
$$;

create function jarvis_adoption.settle_missing(tbl text) returns void language plpgsql as $$
declare
  needed record;
  hits bigint;
begin
  for needed in select n.col from jarvis_adoption.new_columns n where n.tbl = settle_missing.tbl and n.attnotnull order by n.attnum loop
    hits := jarvis_adoption.find_bad(tbl, format('%I is not null', needed.col));
    if hits > 0 then
      perform jarvis_adoption.refuse(tbl, 'value_missing', format('%I is required', needed.col), hits);
    end if;
  end loop;
end
$$;

-- Rows that share what must be unique: the newest keeps it.
create function jarvis_adoption.settle_duplicates(tbl text) returns void language plpgsql as $$
declare
  idx record;
  newest text := coalesce((select format('%I desc nulls last, ', col) from jarvis_adoption.new_columns n
                            where n.tbl = settle_duplicates.tbl and col in ('updated_at', 'generated_at', 'created_at')
                            order by array_position(array['updated_at', 'generated_at', 'created_at'], col) limit 1), '');
  nullable text;
  hits bigint;
begin
  for idx in
    select i.indexrelid, i.indnatts, pg_get_expr(i.indpred, i.indrelid) as pred,
           array(select pg_get_indexdef(i.indexrelid, k, true) from generate_series(1, i.indnkeyatts) as k) as keys
      from pg_index i
     where i.indrelid = to_regclass(format('public.%I', tbl)) and i.indisunique
     order by i.indisprimary desc, i.indexrelid
  loop
    -- Badges are compared folded, and a key that holds the row's own cannot be shared.
    continue when idx.keys @> array['badge_id']
               or idx.keys @> array['id'] and cardinality(idx.keys) > 1;
    delete from jarvis_adoption.bad;
    execute format('insert into jarvis_adoption.bad select __row from (
                      select __row, row_number() over (partition by %1$s order by %2$s%3$s__row) as place
                        from jarvis_adoption.new_%4$I where __held is null and (%5$s) and (%6$s)) as ranked where place > 1',
      array_to_string(idx.keys, ', '), case tbl when 'gym_members_v2' then 'is_active desc nulls last, ' else '' end, newest, tbl,
      (select string_agg(format('%s is not null', k), ' and ') from unnest(idx.keys) as k), coalesce(idx.pred, 'true'));
    get diagnostics hits = row_count;
    continue when hits = 0;
    select n.col into nullable from jarvis_adoption.new_columns n
     where n.tbl = settle_duplicates.tbl and n.col = any (idx.keys) and not n.attnotnull order by n.attnum desc limit 1;
    if exists (select from unnest(idx.keys) as k where k like '%badge_id%') then
      perform jarvis_adoption.settle_badges(hits);
    elsif nullable is not null then
      perform jarvis_adoption.change(tbl, nullable, 'null', 'n.__row in (select spot from jarvis_adoption.bad)', 'duplicate');
      perform jarvis_adoption.say('duplicate_value', 'settled', tbl || '.' || nullable, hits, array_to_string(idx.keys, ', ') || ' must be unique',
        'the newest keeps it, the others are left empty; the originals are kept in jarvis.adoption_remains');
    else
      perform jarvis_adoption.refuse(tbl, 'duplicate_row', array_to_string(idx.keys, ', ') || ' must be unique', hits);
    end if;
  end loop;
end
$$;

-- Members of one gym whose badges differ in case or spaces alone. `suffix` gives all but one a badge that no reader reads.
create function jarvis_adoption.settle_badges(hits bigint) returns void language plpgsql as $$
declare
  pairs text := (select string_agg(format('%s: %s', badge, ids), '; ') from (
    select min(b.badge_id) as badge, string_agg(b.id::text, ', ' order by b.id) as ids from jarvis_adoption.new_gym_members_v2 b
     where exists (select from jarvis_adoption.new_gym_members_v2 n join jarvis_adoption.bad on spot = n.__row
                    where n.gym_id = b.gym_id and lower(btrim(n.badge_id)) = lower(btrim(b.badge_id)))
     group by b.gym_id, lower(btrim(b.badge_id)) order by 1 limit 5) as sets);
begin
  if current_setting('jarvis_adoption.badges') = 'suffix' then
    perform jarvis_adoption.change('gym_members_v2', 'badge_id', 'left(btrim(n.badge_id), 115) || ''#'' || left(n.id::text, 8)',
      'n.__row in (select spot from jarvis_adoption.bad)', 'duplicate');
    perform jarvis_adoption.say('duplicate_badge', 'settled', 'gym_members_v2.badge_id', hits, pairs,
      'the active, newest member keeps the badge; the others'' ends in # and their id, and needs a new one');
  else
    perform jarvis_adoption.say('duplicate_badge', 'blocking', 'gym_members_v2.badge_id', hits, pairs,
      'give all but one member of each group another badge, or repeat with --settle-badges suffix');
  end if;
end
$$;

-- An account whose role we do not know must not gain rights by it.
create function jarvis_adoption.settle_users() returns void language plpgsql as $$
declare
  strange constant text := 'n.__row in (select spot from jarvis_adoption.bad)';
  hits bigint := jarvis_adoption.find_bad('users', 'coalesce(role in (''super_admin'', ''gym_manager'', ''gym_staff''), false)');
begin
  if hits > 0 then
    perform jarvis_adoption.change('users', 'gym_access', '''{}''', strange, 'unknown_role');
    perform jarvis_adoption.change('users', 'is_active', 'false', strange, 'unknown_role');
    perform jarvis_adoption.change('users', 'role', '''gym_staff''', strange, 'unknown_role');
    perform jarvis_adoption.say('unknown_role', 'settled', 'users.role', hits, 'neither super_admin nor gym_manager nor gym_staff: ' || jarvis_adoption.sample('users'),
      'kept as inactive gym_staff without any gym; the originals are kept in jarvis.adoption_remains');
  end if;
end
$$;

-- Commands and addresses name a gym by a short name. A gym that was closed is not opened by us.
create function jarvis_adoption.settle_gyms() returns void language plpgsql as $$
declare
  hits bigint;
begin
  hits := jarvis_adoption.change('gyms', 'status', '''suspended''',
    'lower(n.status) in (''inactive'', ''closed'', ''disabled'', ''archived'', ''deleted'')', 'status_translated');
  if hits > 0 then
    perform jarvis_adoption.say('gym_closed', 'settled', 'gyms.status', hits, 'inactive, closed, disabled, archived or deleted',
      'suspended; the originals are kept in jarvis.adoption_remains');
  end if;
  update jarvis_adoption.new_gyms n
     set slug = coalesce(nullif(btrim(regexp_replace(jarvis.fold(n.name), '[^a-z0-9]+', '-', 'g'), '-'), ''), 'salle')
   where n.slug is null;
  get diagnostics hits = row_count;
  update jarvis_adoption.new_gyms n set slug = n.slug || '-' || left(n.id::text, 8)
   where exists (select from jarvis_adoption.new_gyms o where o.slug = n.slug and o.id < n.id)
     and not exists (select from jarvis_adoption.old_columns c where c.tbl = 'gyms' and c.col = 'slug');
  if hits > 0 then
    perform jarvis_adoption.say('gym_named', 'settled', 'gyms.slug', hits,
      (select string_agg(slug, ', ' order by slug) from (select slug from jarvis_adoption.new_gyms order by slug limit 10) as few),
      'a short name, made of the name; change it as you like');
  end if;
end
$$;

-- A row belongs to the gym of its member, and to a member who exists.
create function jarvis_adoption.settle_owner(tbl text) returns void language plpgsql as $$
declare
  hits bigint;
begin
  if tbl = 'manager_alerts' then
    hits := jarvis_adoption.change(tbl, 'member_id', 'null',
      'n.member_id is not null and not exists (select from jarvis_adoption.new_gym_members_v2 m where m.id = n.member_id)', 'member_unknown');
    if hits > 0 then
      perform jarvis_adoption.say('member_unknown', 'settled', tbl || '.member_id', hits, 'no such member', 'left empty; the originals are kept in jarvis.adoption_remains');
    end if;
  else
    perform jarvis_adoption.hold(tbl, 'n.member_id is not null and not exists (select from jarvis_adoption.new_gym_members_v2 m where m.id = n.member_id)', 'member_unknown');
  end if;
  hits := jarvis_adoption.change(tbl, 'gym_id', '(select m.gym_id from jarvis_adoption.new_gym_members_v2 m where m.id = n.member_id)',
    'n.gym_id is not null and exists (select from jarvis_adoption.new_gym_members_v2 m where m.id = n.member_id and m.gym_id <> n.gym_id)', 'gym_differs');
  if hits > 0 then
    perform jarvis_adoption.say('gym_differs', 'settled', tbl || '.gym_id', hits, 'another gym than the member''s', 'the member''s gym; the originals are kept in jarvis.adoption_remains');
  end if;
  execute format('update jarvis_adoption.new_%I n set gym_id = m.gym_id from jarvis_adoption.new_gym_members_v2 m where m.id = n.member_id and n.gym_id is null', tbl);
  perform jarvis_adoption.hold(tbl, 'n.gym_id is not null and not exists (select from jarvis_adoption.new_gyms g where g.id = n.gym_id)', 'gym_unknown');
end
$$;

-- Parents first: what hangs on them asks whether they are there.
select jarvis_adoption.settle_gyms(), jarvis_adoption.settle_users();
do $$
declare
  tbl text;
  hits bigint;
begin
  foreach tbl in array array['gyms', 'users', 'gym_members_v2'] loop
    perform jarvis_adoption.settle_checks(tbl);
    perform jarvis_adoption.settle_missing(tbl);
    perform jarvis_adoption.settle_duplicates(tbl);
  end loop;
  hits := jarvis_adoption.find_bad('gym_members_v2', 'gym_id is null or exists (select from jarvis_adoption.new_gyms g where g.id = gym_id)');
  if hits > 0 then
    perform jarvis_adoption.refuse('gym_members_v2', 'gym_unknown', 'their gym does not exist', hits);
  end if;
  foreach tbl in array array['member_fitness_profile', 'member_preferences', 'member_facts', 'conversation_summaries',
                             'conversation_events', 'member_analytics', 'manager_alerts'] loop
    perform jarvis_adoption.settle_owner(tbl);
  end loop;
  perform jarvis_adoption.hold('insights_reports', 'n.gym_id is not null and not exists (select from jarvis_adoption.new_gyms g where g.id = n.gym_id)', 'gym_unknown');
end
$$;
