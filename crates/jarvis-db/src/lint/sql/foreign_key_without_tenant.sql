select c.object, k.conname::text as part, format('%s → %s', c.object, p.object) as what,
       format(E'alter table %1$s add unique (%2$I, %3$s);\nalter table %4$s drop constraint %5$I,\n  add constraint %5$I foreign key (%2$I, %6$s) references %1$s (%2$I, %3$s);',
              p.object, s.tenant,
              (select string_agg(format('%I', a.attname), ', ' order by n.n) from unnest(k.confkey) with ordinality as n (num, n)
                 join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = n.num),
              c.object, k.conname,
              (select string_agg(format('%I', a.attname), ', ' order by n.n) from unnest(k.conkey) with ordinality as n (num, n)
                 join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = n.num)) as mend, c.comment
  from pg_catalog.pg_constraint k
  join tables c on c.oid = k.conrelid and c.tenant is not null
  join tables p on p.oid = k.confrelid and p.tenant is not null
 cross join settings s
 where k.contype = 'f' and k.conparentid = 0
   and not exists (select from unnest(k.conkey, k.confkey) as pair (mine, theirs)
                    where pair.mine = c.tenant and pair.theirs = p.tenant)
