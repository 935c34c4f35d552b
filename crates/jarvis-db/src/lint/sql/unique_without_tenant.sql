select t.object, x.relname::text as part,
       (select string_agg(coalesce(a.attname::text, '(expression)'), ', ' order by n.n)
          from unnest(i.indkey::int2[]) with ordinality as n (num, n)
          left join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = n.num) as what,
       case when k.oid is not null
            then format('alter table %s drop constraint %I, add constraint %2$I unique (%I, %s);', t.object, k.conname, s.tenant,
                        (select string_agg(format('%I', a.attname), ', ' order by n.n) from unnest(k.conkey) with ordinality as n (num, n)
                           join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = n.num))
            else format('-- make it again with %I first: %s', s.tenant, pg_catalog.pg_get_indexdef(i.indexrelid)) end as mend, t.comment
  from pg_catalog.pg_index i
  join tables t on t.oid = i.indrelid and t.tenant is not null
  join pg_catalog.pg_class x on x.oid = i.indexrelid
  left join pg_catalog.pg_constraint k on k.conindid = i.indexrelid and k.contype = 'u' and k.conrelid = t.oid
 cross join settings s
 where i.indisunique and not i.indisprimary and not x.relispartition
   and pg_catalog.pg_get_indexdef(i.indexrelid) !~ ('\m' || s.tenant || '\M')
   and not exists (
     select from unnest(i.indkey::int2[]) as key (num)
       join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = key.num
      where a.atttypid = 'pg_catalog.uuid'::regtype  -- nobody guesses it, nobody meets it by chance
         -- It names a row of one tenant already.
         or exists (select from pg_catalog.pg_constraint f join tables p on p.oid = f.confrelid and p.tenant is not null
                     where f.contype = 'f' and f.conrelid = t.oid and a.attnum = any (f.conkey))
         -- Made from the tenant.
         or a.attgenerated <> '' and exists (select from pg_catalog.pg_attrdef d
              where d.adrelid = t.oid and d.adnum = a.attnum
                and pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~ ('\m' || s.tenant || '\M')))
