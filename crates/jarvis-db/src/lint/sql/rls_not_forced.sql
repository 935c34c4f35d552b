select object, null::text as part, null::text as what, format('alter table %s force row level security;', object) as mend, comment
  from tables where relrowsecurity and not relforcerowsecurity
