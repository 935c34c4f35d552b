-- Cleanup of the predecessor's tables: gym_members, jarvis_conversation_logs, openai_realtime_audio_events.
--
-- The predecessor dropped them before the code had moved. This drops nothing: it installs the function that does, when an
-- operator names the tables (`jarvis migration cleanup --confirm …`) and every row in them is accounted for, as it is now.

set local lock_timeout = '10s';
set local statement_timeout = '120s';
set local search_path = public, extensions;

-- ---------------------------------------------------------------------------------------------------------------
-- What stands in the way
-- ---------------------------------------------------------------------------------------------------------------
-- Tables of others that refer to one of ours, and views over it; the three may refer to each other, they go together.
create function jarvis.legacy_dependants(source_table text) returns text[]
  language sql stable set search_path = ''
  as $$
    select coalesce(array_agg(distinct d.name order by d.name), '{}') from (
      select format('foreign key %s of %s', k.conname, k.conrelid::regclass) as name
        from pg_catalog.pg_constraint k
       where k.contype = 'f' and k.confrelid = jarvis.legacy_table(source_table)
         and k.conrelid not in (select t.oid from unnest(array['gym_members', 'jarvis_conversation_logs',
                                                               'openai_realtime_audio_events']) as n (name)
                                  cross join lateral jarvis.legacy_table(n.name) as t (oid) where t.oid is not null)
      union all
      select format('view %s', v.oid::regclass)
        from pg_catalog.pg_depend p
        join pg_catalog.pg_rewrite w on w.oid = p.objid and p.classid = 'pg_catalog.pg_rewrite'::regclass
        join pg_catalog.pg_class v on v.oid = w.ev_class and v.relkind in ('v', 'm')
       where p.refclassid = 'pg_catalog.pg_class'::regclass and p.refobjid = jarvis.legacy_table(source_table)) as d
  $$;
comment on function jarvis.legacy_dependants(text) is 'Ménage : clés étrangères et vues d''autrui qui tiennent à une table du prédécesseur.';

create function jarvis.legacy_status()
  returns table (source_table text, total bigint, accounted bigint, waiting bigint, changed bigint, refused bigint,
                 refused_reasons jsonb, dependants text[])
  language sql stable set search_path = ''
  as $$
    select n.name, c.total, c.accounted, c.waiting, c.changed, c.refused,
           (select coalesce(jsonb_object_agg(w.reason, w.rows), '{}')
              from (select r.reason, count(*) as rows from jarvis.legacy_rows r
                     where r.source_table = n.name and r.outcome = 'refused' group by r.reason) as w),
           jarvis.legacy_dependants(n.name)
      from unnest(array['gym_members', 'jarvis_conversation_logs', 'openai_realtime_audio_events']) with ordinality as n (name, nth)
     cross join lateral (
       select count(*) as total,
              count(*) filter (where r.outcome = 'erased' or r.outcome in ('imported', 'held') and r.fingerprint = s.fingerprint) as accounted,
              count(*) filter (where r.source_id is null) as waiting,
              count(*) filter (where r.outcome in ('imported', 'held') and r.fingerprint <> s.fingerprint) as changed,
              count(*) filter (where r.outcome = 'refused') as refused
         from jarvis.legacy_source(n.name) s
         left join jarvis.legacy_rows r on r.source_table = n.name and r.source_id = s.source_id) as c
     where jarvis.legacy_table(n.name) is not null
     order by n.nth
  $$;
comment on function jarvis.legacy_status() is 'Ménage : pour chaque table du prédécesseur qui est là, ses lignes reprises, en attente, changées depuis, refusées.';

-- ---------------------------------------------------------------------------------------------------------------
-- The cleanup
-- ---------------------------------------------------------------------------------------------------------------
create function jarvis.legacy_cleanup(confirmed text[]) returns text[]
  language plpgsql set search_path = ''
  as $$
declare
  named text;
  line record;
  tables text[] := '{}';
  in_use text;
begin
  if coalesce(cardinality(confirmed), 0) = 0 then
    raise exception using errcode = 'JL001', message = 'nothing_confirmed',
      hint = 'Nommez les tables à supprimer, par exemple : jarvis migration cleanup --confirm gym_members.';
  end if;
  foreach named in array confirmed loop
    if jarvis.legacy_table(named) is null then
      raise exception using errcode = 'JL002', message = 'not_a_legacy_table', detail = named,
        hint = 'Seules gym_members, jarvis_conversation_logs et openai_realtime_audio_events peuvent être supprimées, si elles existent.';
    end if;
    -- From here on nobody writes to it.
    execute format('lock table %s in access exclusive mode', jarvis.legacy_table(named));
  end loop;
  for line in select * from jarvis.legacy_status() as s where s.source_table = any (confirmed) loop
    if line.accounted <> line.total then
      raise exception using errcode = 'JL003', message = 'rows_unaccounted',
        detail = format('%s: %s of %s rows (%s never imported, %s changed since, %s refused)', line.source_table,
                        line.total - line.accounted, line.total, line.waiting, line.changed, line.refused),
        hint = 'Reprenez-les d''abord : jarvis migration legacy --yes.';
    end if;
    if line.dependants <> '{}' then
      raise exception using errcode = 'JL004', message = 'table_in_use',
        detail = format('%s: %s', line.source_table, array_to_string(line.dependants, ', ')),
        hint = 'Retirez ou déplacez d''abord ce qui en dépend.';
    end if;
    tables := tables || line.source_table;
  end loop;
  -- Together, for they may refer to each other; anything else that still depends on one stops it.
  begin
    execute (select 'drop table ' || string_agg(jarvis.legacy_table(t)::text, ', ') || ' restrict' from unnest(tables) as t);
  exception when dependent_objects_still_exist then
    get stacked diagnostics in_use = pg_exception_detail;
    raise exception using errcode = 'JL004', message = 'table_in_use', detail = in_use,
      hint = 'Retirez ou déplacez d''abord ce qui en dépend.';
  end;
  return tables;
end
$$;
comment on function jarvis.legacy_cleanup(text[]) is 'Ménage : supprime les tables nommées quand chacune de leurs lignes est reprise, sinon refuse.';
revoke all on function jarvis.legacy_dependants(text), jarvis.legacy_status(), jarvis.legacy_cleanup(text[])
  from public, anon, authenticated;

-- ---------------------------------------------------------------------------------------------------------------
-- Data map of the import's tables: the map is younger than they are
-- ---------------------------------------------------------------------------------------------------------------
insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
select 'jarvis', 'legacy_gyms', c.name, 'public', 'sans limite', false, 'avec la salle'
from (values ('legacy_gym_id'), ('gym_id'), ('stated_at')) as c (name)
union all
select 'jarvis', 'legacy_rows', c.name, 'personal', 'durée de l''abonnement', false,
       'vidé avec le membre ; seul reste l''identifiant, pour qu''il ne soit pas repris de nouveau'
from (values ('source_table'), ('source_id'), ('fingerprint'), ('outcome'), ('reason'), ('gym_id'), ('member_id'), ('cells'),
             ('imported_at')) as c (name)
union all
select 'jarvis', 'legacy_held', c.name, 'health', '12 mois', true, 'avec le membre (cascade) ; sans membre connu, à l''échéance'
from (values ('id'), ('gym_id'), ('member_id'), ('source_table'), ('source_id'), ('source_column'), ('kind'), ('reason'), ('needs'),
             ('content'), ('held_at')) as c (name);

do $report$
declare
  line record;
begin
  for line in select * from jarvis.legacy_status() loop
    raise notice '%: % rows, % accounted for, % never imported, % changed since, % refused; left alone, see jarvis migration cleanup',
      line.source_table, line.total, line.accounted, line.waiting, line.changed, line.refused;
  end loop;
end
$report$;
