select t.object, null::text as part, string_agg(a.attname::text, ', ' order by a.attnum) as what,
       E'insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how, rests_on) values (…);' as mend, t.comment
  from tables t join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
 cross join settings s
 where s.mapped is not null and not format('%s.%s.%s', t.nspname, t.relname, a.attname) = any (s.mapped)
 group by t.object, t.comment
