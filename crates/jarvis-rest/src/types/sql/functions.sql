-- The arguments with those that are given back. Defaults belong to the last of those that are given.
select coalesce(json_agg(json_build_object(
  'oid', p.oid::int8, 'schema', n.nspname, 'name', p.proname,
  'comment', obj_description(p.oid, 'pg_proc'),
  'arguments', coalesce((
    select json_agg(json_build_object(
      'name', coalesce(x.name, ''), 'type', x.type::int8, 'mode', coalesce(x.mode::text, 'i'),
      'has_default', x.place <= p.pronargs and x.place > p.pronargs - p.pronargdefaults) order by x.place)
    from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames, p.proargmodes)
      with ordinality as x (type, name, mode, place)), '[]'),
  'shown_arguments', pg_get_function_arguments(p.oid),
  'shown_result', pg_get_function_result(p.oid),
  'returns', p.prorettype::int8, 'set', p.proretset, 'rows', p.prorows
)), '[]')::text
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = any($1) and p.prokind = 'f'
  and p.prorettype not in ('pg_catalog.trigger'::regtype, 'pg_catalog.event_trigger'::regtype)
