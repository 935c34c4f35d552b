-- As PostgreSQL writes expressions back: `(auth.uid() IS NULL)`, `(( SELECT auth.uid() AS uid) IS NULL)`,
-- `(NULLIF(current_setting('request.jwt.claims'::text, true), ''::text) IS NULL)`, `COALESCE(auth.uid(), …)`.
select object, polname::text as part, null::text as what,
       format(E'drop policy %I on %s;\n-- then, if a server process needs it, a policy of its own: … to its_role', polname, object) as mend, comment
  from policies
 where concat_ws(' ', using_, check_) ~ any (array[
   '\m(uid|jwt|role|email|claims)\(\)(\s+AS "?\w+"?)?\)*\s+IS NULL',
   '\m(uid|jwt|role|email|claims)\(\)[^=<>]{0,40}->>[^=<>]{0,40}\s+IS NULL',
   'current_setting\(''[^'']*''[^=<>]{0,60}\s+IS NULL',
   'COALESCE\(\(?(\s*SELECT )?("?\w+"?\.)?(uid|jwt|role)\(\)'])
