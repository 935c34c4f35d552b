-- The life of an alert: pending, in_progress, then resolved with an outcome or dismissed with a reason. What has ended stays ended.
-- A trigger holds it, for every writer: the server, the data API, the service key.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

create function jarvis.guard_alert() returns trigger
  language plpgsql set search_path = ''
  as $$
declare
  ended constant boolean := new.status in ('resolved', 'dismissed');
  asks constant text := jarvis.request_role();
  changes boolean := true;
begin
  if tg_op = 'UPDATE' then
    if old.status in ('resolved', 'dismissed') then
      if new.status <> old.status or new.snoozed_until is not null then
        raise exception using errcode = 'JT001', message = 'alert_ended', detail = old.status,
          hint = 'Une alerte close le reste ; si le fait revient, une nouvelle alerte le dit.';
      end if;
      new.resolved_at := coalesce(old.resolved_at, new.resolved_at);
      new.resolved_by := old.resolved_by;
      changes := new.outcome is distinct from old.outcome or new.resolution_notes is distinct from old.resolution_notes;
    end if;
    if new.occurrences < old.occurrences then
      raise exception using errcode = 'JT003', message = 'alert_occurrences_fall', detail = old.occurrences::text,
        hint = 'Le nombre de fois ne peut que croître.';
    end if;
    if new.status = 'in_progress' and old.status = 'pending' then
      new.assigned_to := coalesce(new.assigned_to, jarvis.uid());
    end if;
  -- Whoever takes over a database writes down alerts that ended before these rules.
  elsif asks not in ('authenticated', 'service_role', 'jarvis_server', 'jarvis_system') then
    changes := false;
  end if;

  if not ended then
    if new.resolved_at is not null or new.resolved_by is not null then
      raise exception using errcode = 'JT002', message = 'alert_incomplete', detail = 'status',
        hint = 'resolved_at et resolved_by vont avec status resolved ou dismissed.';
    end if;
    return new;
  end if;
  if changes and new.status = 'resolved' and coalesce(new.outcome, '') !~ '\S' then
    raise exception using errcode = 'JT002', message = 'alert_incomplete', detail = 'outcome',
      hint = 'Pour clore une alerte (resolved), dites l''issue dans outcome.';
  end if;
  if changes and new.status = 'dismissed' and coalesce(new.resolution_notes, '') !~ '\S' then
    raise exception using errcode = 'JT002', message = 'alert_incomplete', detail = 'resolution_notes',
      hint = 'Pour écarter une alerte (dismissed), dites la raison dans resolution_notes.';
  end if;
  if tg_op = 'INSERT' or old.status not in ('resolved', 'dismissed') then
    new.snoozed_until := null;
    -- A person cannot choose the name or the moment under which the history keeps them.
    if asks = 'authenticated' then
      new.resolved_by := jarvis.uid();
      new.resolved_at := now();
    else
      new.resolved_by := coalesce(substring(jarvis.actor() from '^user:([0-9a-f-]{36})$')::uuid, new.resolved_by);
      new.resolved_at := coalesce(new.resolved_at, now());
    end if;
  end if;
  return new;
end
$$;
comment on function jarvis.guard_alert() is 'Déclencheur : la vie d''une alerte (pending, in_progress, resolved, dismissed).';
revoke all on function jarvis.guard_alert() from public, anon, authenticated;
create trigger b20_states before insert or update on public.manager_alerts
  for each row execute function jarvis.guard_alert();

comment on column public.manager_alerts.status is
  'pending, in_progress, puis resolved (avec outcome) ou dismissed (avec resolution_notes) ; une alerte close le reste.';
comment on column public.manager_alerts.assigned_to is 'Personne chargée de l''alerte ; qui la prend, si personne n''est nommé.';
comment on column public.manager_alerts.resolved_by is 'Personne qui l''a close, d''après son identité.';
comment on column public.manager_alerts.resolved_at is 'Moment où elle a été close.';
comment on column public.manager_alerts.resolution_notes is 'Notes ; la raison, si elle est écartée.';
comment on column public.manager_alerts.outcome is 'Issue, si elle est résolue.';
