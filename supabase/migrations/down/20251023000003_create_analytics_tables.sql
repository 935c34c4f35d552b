-- Drops the analytics tables. The runner counts the rows that would be lost and asks first.

set local lock_timeout = '10s';
set local statement_timeout = '120s';

drop table public.insights_reports, public.manager_alerts, jarvis.member_analytics_history, public.member_analytics;
drop function jarvis.keep_analytics_day();
revoke select (timezone) on public.gyms from jarvis_writer;
