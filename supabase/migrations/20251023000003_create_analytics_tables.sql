-- Analytics tables: member analytics with one row a day of history, alerts, reports.

set local lock_timeout = '10s';
set local statement_timeout = '120s';
set local search_path = public, extensions;

grant create on schema jarvis to jarvis_policy, jarvis_writer;

-- ---------------------------------------------------------------------------------------------------------------
-- member_analytics
-- ---------------------------------------------------------------------------------------------------------------
create table public.member_analytics (
  member_id                    uuid primary key,
  gym_id                       uuid not null default jarvis.current_gym(),
  total_conversations          integer not null default 0 check (total_conversations >= 0),
  total_sessions               integer not null default 0 check (total_sessions >= 0),
  avg_session_duration_seconds numeric(10,2) check (avg_session_duration_seconds >= 0),
  last_interaction_at          timestamptz,
  visits_30d                   integer not null default 0 check (visits_30d >= 0),
  visit_frequency_per_week     numeric(6,2) check (visit_frequency_per_week >= 0),
  days_since_last_visit        integer check (days_since_last_visit >= 0),
  conversation_frequency       text check (conversation_frequency in ('daily', 'weekly', 'monthly', 'rare')),
  preferred_days_of_week       integer[] check (preferred_days_of_week <@ array[1, 2, 3, 4, 5, 6, 7]),
  preferred_time_of_day        text check (preferred_time_of_day in ('morning', 'afternoon', 'evening', 'night')),
  avg_sentiment_score          numeric(4,3) check (avg_sentiment_score between -1 and 1),
  sentiment_trend              text check (sentiment_trend in ('improving', 'stable', 'declining')),
  engagement_score             numeric(4,3) check (engagement_score between 0 and 1),
  churn_risk_score             numeric(4,3) check (churn_risk_score between 0 and 1),
  churn_risk_level             text check (churn_risk_level in ('low', 'medium', 'high', 'critical')),
  churn_factors                jsonb not null default '[]',
  churn_model                  text,
  last_churn_analysis_at       timestamptz,
  active_goals_count           integer not null default 0 check (active_goals_count >= 0),
  goals_achievement_rate       numeric(4,3) check (goals_achievement_rate between 0 and 1),
  updated_at                   timestamptz not null default now(),
  unique (gym_id, member_id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
create index member_analytics_risk on public.member_analytics (gym_id, churn_risk_score desc nulls last);
alter table public.member_analytics enable row level security;
alter table public.member_analytics force row level security;
revoke all on public.member_analytics from public, anon, authenticated, service_role;
comment on table public.member_analytics is 'Mesures d''un membre, les plus récentes.';
comment on column public.member_analytics.member_id is 'Membre.';
comment on column public.member_analytics.gym_id is 'Salle de la ligne ; remplie d''après le membre si elle manque.';
comment on column public.member_analytics.total_conversations is 'Conversations avec au moins un tour du membre.';
comment on column public.member_analytics.total_sessions is 'Sessions ouvertes.';
comment on column public.member_analytics.avg_session_duration_seconds is 'Durée moyenne en secondes.';
comment on column public.member_analytics.last_interaction_at is 'Dernière conversation.';
comment on column public.member_analytics.visits_30d is 'Visites des 30 derniers jours.';
comment on column public.member_analytics.visit_frequency_per_week is 'Visites par semaine.';
comment on column public.member_analytics.days_since_last_visit is 'Jours depuis la dernière visite.';
comment on column public.member_analytics.conversation_frequency is 'daily, weekly, monthly ou rare, sur 90 jours.';
comment on column public.member_analytics.preferred_days_of_week is 'Jours préférés (1 = lundi).';
comment on column public.member_analytics.preferred_time_of_day is 'morning, afternoon, evening ou night, à l''heure de la salle.';
comment on column public.member_analytics.avg_sentiment_score is 'Sentiment moyen, de -1 à 1.';
comment on column public.member_analytics.sentiment_trend is 'improving, stable ou declining.';
comment on column public.member_analytics.engagement_score is 'Engagement, de 0 à 1.';
comment on column public.member_analytics.churn_risk_score is 'Probabilité de départ dans l''horizon, de 0 à 1.';
comment on column public.member_analytics.churn_risk_level is 'low, medium, high ou critical.';
comment on column public.member_analytics.churn_factors is 'Raisons du risque.';
comment on column public.member_analytics.churn_model is 'Modèle employé.';
comment on column public.member_analytics.last_churn_analysis_at is 'Dernier calcul du risque.';
comment on column public.member_analytics.active_goals_count is 'Objectifs en cours.';
comment on column public.member_analytics.goals_achievement_rate is 'Part d''objectifs atteints ; vide sans objectif.';
comment on column public.member_analytics.updated_at is 'Dernière modification de la ligne.';

create table jarvis.member_analytics_history (
  gym_id    uuid not null,
  member_id uuid not null,
  day       date not null,
  data      jsonb not null,
  source    text not null default 'computed',
  primary key (gym_id, member_id, day),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
alter table jarvis.member_analytics_history enable row level security;
alter table jarvis.member_analytics_history force row level security;
revoke all on jarvis.member_analytics_history from public, anon, authenticated, service_role;
comment on table jarvis.member_analytics_history is 'Mesures d''un membre, une ligne par jour.';
comment on column jarvis.member_analytics_history.gym_id is 'Salle.';
comment on column jarvis.member_analytics_history.member_id is 'Membre.';
comment on column jarvis.member_analytics_history.day is 'Jour, à l''heure de la salle.';
comment on column jarvis.member_analytics_history.data is 'Mesures du jour.';
comment on column jarvis.member_analytics_history.source is 'computed, ou legacy pour une reprise.';

create function jarvis.keep_analytics_day() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  insert into jarvis.member_analytics_history (gym_id, member_id, day, data)
  values (new.gym_id, new.member_id,
          (new.updated_at at time zone (select g.timezone from public.gyms g where g.id = new.gym_id))::date,
          to_jsonb(new) - '{gym_id,member_id}'::text[])
  on conflict (gym_id, member_id, day) do update set data = excluded.data, source = excluded.source;
  return null;
end
$$;
comment on function jarvis.keep_analytics_day() is 'Déclencheur : garde une ligne d''analyse par membre et par jour de la salle.';
grant select (id, timezone) on public.gyms to jarvis_writer;
grant select, insert, update on jarvis.member_analytics_history to jarvis_writer;
create trigger a10_gym before insert on public.member_analytics for each row execute function jarvis.fill_gym_id();
create trigger c30_day after insert or update on public.member_analytics
  for each row execute function jarvis.keep_analytics_day();
create trigger z90_touch before update on public.member_analytics for each row execute function jarvis.touch_updated_at();

-- ---------------------------------------------------------------------------------------------------------------
-- manager_alerts. assigned_to and resolved_by name users without a foreign key, which would tell whether a stranger exists.
-- ---------------------------------------------------------------------------------------------------------------
create table public.manager_alerts (
  id                  uuid primary key default gen_random_uuid(),
  gym_id              uuid not null default jarvis.current_gym() references public.gyms (id) on delete cascade,
  member_id           uuid,
  alert_type          text not null
                      check (alert_type in ('churn_risk', 'inactivity', 'negative_feedback', 'health_concern',
                                            'equipment_issue', 'membership_expiring', 'member_achievement',
                                            'goal_milestone')),
  priority            text not null default 'medium' check (priority in ('low', 'medium', 'high', 'urgent')),
  status              text not null default 'pending'
                      check (status in ('pending', 'in_progress', 'resolved', 'dismissed')),
  title               text not null,
  description         text,
  recommended_actions jsonb not null default '[]' check (jsonb_typeof(recommended_actions) = 'array'),
  context             jsonb not null default '{}' check (jsonb_typeof(context) = 'object'),
  dedup_key           text,
  occurrences         integer not null default 1 check (occurrences >= 1),
  snoozed_until       timestamptz,
  assigned_to         uuid,
  resolved_by         uuid,
  resolved_at         timestamptz,
  resolution_notes    text,
  outcome             text,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  unique (gym_id, id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
create unique index manager_alerts_one_open on public.manager_alerts (gym_id, dedup_key)
  where status in ('pending', 'in_progress');
create index manager_alerts_open on public.manager_alerts (gym_id, status, created_at desc);
create index manager_alerts_member on public.manager_alerts (gym_id, member_id);
alter table public.manager_alerts enable row level security;
alter table public.manager_alerts force row level security;
revoke all on public.manager_alerts from public, anon, authenticated, service_role;
comment on table public.manager_alerts is 'Alertes pour l''équipe de la salle.';
comment on column public.manager_alerts.id is 'Identifiant (UUID).';
comment on column public.manager_alerts.gym_id is 'Salle de la ligne ; remplie d''après le membre si elle manque.';
comment on column public.manager_alerts.member_id is 'Membre concerné, ou vide (matériel).';
comment on column public.manager_alerts.alert_type is 'Nature de l''alerte.';
comment on column public.manager_alerts.priority is 'low, medium, high ou urgent.';
comment on column public.manager_alerts.status is 'pending, in_progress, resolved ou dismissed.';
comment on column public.manager_alerts.title is 'Titre.';
comment on column public.manager_alerts.description is 'Description.';
comment on column public.manager_alerts.recommended_actions is 'Actions proposées : liste de {action, label, reason}.';
comment on column public.manager_alerts.context is 'Chiffres et liens utiles.';
comment on column public.manager_alerts.dedup_key is 'Une seule alerte ouverte par clé.';
comment on column public.manager_alerts.occurrences is 'Nombre de fois où elle s''est répétée.';
comment on column public.manager_alerts.snoozed_until is 'Mise en veille.';
comment on column public.manager_alerts.assigned_to is 'Personne chargée de l''alerte.';
comment on column public.manager_alerts.resolved_by is 'Personne qui l''a résolue.';
comment on column public.manager_alerts.resolved_at is 'Moment de la résolution.';
comment on column public.manager_alerts.resolution_notes is 'Notes de résolution.';
comment on column public.manager_alerts.outcome is 'Issue.';
comment on column public.manager_alerts.created_at is 'Création de la ligne.';
comment on column public.manager_alerts.updated_at is 'Dernière modification de la ligne.';
create trigger a10_gym before insert on public.manager_alerts for each row execute function jarvis.fill_gym_id();
create trigger z90_touch before update on public.manager_alerts for each row execute function jarvis.touch_updated_at();

-- ---------------------------------------------------------------------------------------------------------------
-- insights_reports
-- ---------------------------------------------------------------------------------------------------------------
create table public.insights_reports (
  id              uuid primary key default gen_random_uuid(),
  gym_id          uuid not null default jarvis.current_gym() references public.gyms (id) on delete cascade,
  report_type     text not null
                  check (report_type in ('daily_summary', 'weekly_digest', 'monthly_analysis', 'churn_forecast',
                                         'member_satisfaction')),
  title           text not null,
  summary         text,
  insights        jsonb not null default '[]',
  metrics         jsonb not null default '{}',
  recommendations jsonb not null default '[]' check (jsonb_typeof(recommendations) = 'array'),
  period_start    timestamptz not null,
  period_end      timestamptz not null,
  generated_at    timestamptz not null default now(),
  constraint insights_reports_period check (period_end >= period_start),
  unique (gym_id, id),
  unique (gym_id, report_type, period_start, period_end)
);
alter table public.insights_reports enable row level security;
alter table public.insights_reports force row level security;
revoke all on public.insights_reports from public, anon, authenticated, service_role;
comment on table public.insights_reports is 'Rapports d''une salle.';
comment on column public.insights_reports.id is 'Identifiant (UUID).';
comment on column public.insights_reports.gym_id is 'Salle.';
comment on column public.insights_reports.report_type is 'Nature du rapport.';
comment on column public.insights_reports.title is 'Titre.';
comment on column public.insights_reports.summary is 'Résumé du rapport.';
comment on column public.insights_reports.insights is 'Constats.';
comment on column public.insights_reports.metrics is 'Chiffres calculés en SQL.';
comment on column public.insights_reports.recommendations is 'Recommandations : liste de {title, description, priority}.';
comment on column public.insights_reports.period_start is 'Début de la période.';
comment on column public.insights_reports.period_end is 'Fin de la période.';
comment on column public.insights_reports.generated_at is 'Moment de la production.';

-- ---------------------------------------------------------------------------------------------------------------
-- Owners, last
-- ---------------------------------------------------------------------------------------------------------------
revoke all on function jarvis.keep_analytics_day() from public, anon, authenticated;
alter function jarvis.keep_analytics_day() owner to jarvis_writer;
revoke create on schema jarvis from jarvis_policy, jarvis_writer;
