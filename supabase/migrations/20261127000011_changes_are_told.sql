-- Who listens at /realtime/v1 hears which rows changed: their table and key, never what stands in them. The server then reads
-- the row as the listener (docs/adr/0042). A table that nobody listens to costs one look at a lock in memory.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

create function jarvis.tell_changes() returns trigger
  language plpgsql set search_path = ''
  as $$
declare
  -- The column of the gym, or '', and then those of the key.
  gym text := case tg_argv[0] when '' then 'null' else pg_catalog.format('c.%I', tg_argv[0]) end;
  parts text;
  told record;
  notice text;
begin
  -- A server that listens holds this lock, shared. One expression: nothing can interrupt it between lock and unlock.
  if pg_catalog.pg_try_advisory_lock(20261127, tg_relid::integer)
     and pg_catalog.pg_advisory_unlock(20261127, tg_relid::integer) then
    return null;
  end if;
  select pg_catalog.string_agg(pg_catalog.format('%L, c.%I', a.name, a.name), ', ' order by a.n) into parts
    from pg_catalog.unnest(tg_argv) with ordinality as a (name, n) where a.n > 1;
  -- Many keys in a notice; of more than 1000 rows of a gym only that there were so many.
  for told in execute pg_catalog.format(
    'select k.gym, case when k.total <= 1000 then pg_catalog.jsonb_agg(k.key) end as keys
       from (select %1$s as gym, pg_catalog.jsonb_build_object(%2$s) as key,
                    count(*) over (partition by %1$s) as total, row_number() over (partition by %1$s) as n
               from changed c) k
      group by k.gym, k.total, case when k.total <= 1000 then (k.n - 1) / 40 end', gym, parts)
  loop
    notice := pg_catalog.json_build_object('table', tg_table_name, 'type', tg_op, 'gym', told.gym, 'keys', told.keys);
    -- PostgreSQL takes less than 8000 bytes.
    if pg_catalog.octet_length(notice) > 7900 then
      notice := pg_catalog.json_build_object('table', tg_table_name, 'type', tg_op, 'gym', told.gym, 'keys', null);
    end if;
    perform pg_catalog.pg_notify('jarvis_changes', notice);
  end loop;
  return null;
end;
$$;
comment on function jarvis.tell_changes() is
  'Dit quelles lignes ont changé (table, clé, salle) à qui écoute ; sans auditeur, ne fait rien.';
revoke all on function jarvis.tell_changes() from public;

-- Every table of public that has a key and a gym or none; also for tables that come later.
create function jarvis.tell_changes_of(relation regclass) returns void
  language plpgsql set search_path = ''
  as $$
declare
  gym text;
  key text;
begin
  select case when relation = 'public.gyms'::pg_catalog.regclass then 'id'
              when exists (select from pg_catalog.pg_attribute a
                            where a.attrelid = relation and a.attname = 'gym_id' and not a.attisdropped) then 'gym_id'
              else '' end into gym;
  select pg_catalog.string_agg(pg_catalog.quote_literal(a.attname), ', ' order by a.attnum) into key
    from pg_catalog.pg_index i
    join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey::pg_catalog.int2[])
   where i.indrelid = relation and i.indisprimary;
  if key is null then
    raise exception 'table % has no primary key', relation;
  end if;
  execute pg_catalog.format('create trigger tell_inserted after insert on %s referencing new table as changed
    for each statement execute function jarvis.tell_changes(%L, %s)', relation, gym, key);
  execute pg_catalog.format('create trigger tell_updated after update on %s referencing new table as changed
    for each statement execute function jarvis.tell_changes(%L, %s)', relation, gym, key);
  execute pg_catalog.format('create trigger tell_deleted after delete on %s referencing old table as changed
    for each statement execute function jarvis.tell_changes(%L, %s)', relation, gym, key);
end;
$$;
comment on function jarvis.tell_changes_of(regclass) is
  'Pose sur une table les déclencheurs qui disent quelles lignes ont changé.';
revoke all on function jarvis.tell_changes_of(regclass) from public;

do $$
declare
  relation regclass;
begin
  for relation in
    select c.oid from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and not c.relispartition
       and exists (select from jarvis.data_map m where m.schema_name = 'public' and m.table_name = c.relname)
     order by c.relname
  loop
    perform jarvis.tell_changes_of(relation);
  end loop;
end $$;
