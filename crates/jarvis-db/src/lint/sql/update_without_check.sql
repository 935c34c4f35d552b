select object, polname::text as part, null::text as what,
       format('alter policy %I on %s with check (%s);', polname, object, using_) as mend, comment
  from policies where polcmd in ('w', '*') and check_ is null
