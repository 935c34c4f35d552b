select object, null::text as part, null::text as what, format('alter %s %s set search_path = '''';', kind, object) as mend, comment
  from functions
 where prosecdef and not exists (select from unnest(proconfig) as setting (line) where line like 'search_path=%')
