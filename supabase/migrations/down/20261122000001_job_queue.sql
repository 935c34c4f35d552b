-- Drops the job queue. Waiting jobs are lost.
delete from jarvis.data_map where schema_name = 'jarvis' and table_name in ('jobs', 'job_schedules');
drop table jarvis.job_schedules;
drop table jarvis.jobs;
