-- The rules for what hangs on gyms and members, once each row knows its owner and its conversation.
do $$
declare
  tbl text;
begin
  foreach tbl in array array['member_fitness_profile', 'member_preferences', 'member_facts', 'conversation_summaries',
                             'conversation_events', 'member_analytics', 'manager_alerts', 'insights_reports'] loop
    perform jarvis_adoption.settle_checks(tbl);
    perform jarvis_adoption.settle_missing(tbl);
    perform jarvis_adoption.settle_duplicates(tbl);
  end loop;
end
$$;
