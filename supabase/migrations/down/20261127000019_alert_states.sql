set local lock_timeout = '10s';

drop trigger b20_states on public.manager_alerts;
drop function jarvis.guard_alert();
comment on column public.manager_alerts.status is 'pending, in_progress, resolved ou dismissed.';
comment on column public.manager_alerts.assigned_to is 'Personne chargée de l''alerte.';
comment on column public.manager_alerts.resolved_by is 'Personne qui l''a résolue.';
comment on column public.manager_alerts.resolved_at is 'Moment de la résolution.';
comment on column public.manager_alerts.resolution_notes is 'Notes de résolution.';
comment on column public.manager_alerts.outcome is 'Issue.';
