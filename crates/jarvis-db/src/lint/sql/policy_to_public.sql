select object, polname::text as part, null::text as what, format('alter policy %I on %s to authenticated;', polname, object) as mend, comment
  from policies where 0 = any (polroles)
