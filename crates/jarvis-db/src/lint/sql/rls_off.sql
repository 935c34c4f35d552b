select object, null::text as part, null::text as what,
       format(E'alter table %1$s enable row level security;\nalter table %1$s force row level security;', object) as mend, comment
  from tables where not relrowsecurity
