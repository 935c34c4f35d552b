-- Models of a provider read the conversations of the gyms that allow it; where one failed, the conversation says why the
-- rules read it.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

alter table public.gyms add column external_models boolean not null default false;
comment on column public.gyms.external_models is
  'Vrai si la salle accepte que des modèles d''un fournisseur lisent ses conversations.';

alter table public.conversation_sessions add column degraded_reason text;
alter table public.conversation_sessions add constraint conversation_sessions_degraded_reason_check
  check (degraded_reason ~ '^[a-z][a-z0-9_]{0,63}$') not valid;
comment on column public.conversation_sessions.degraded_reason is
  'Pourquoi les règles locales ont lu la conversation à la place du modèle : code stable ; vide sinon.';

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how) values
  ('public', 'gyms', 'external_models', 'public', 'durée du contrat de la salle', false, 'sans objet (aucun membre)'),
  ('public', 'conversation_sessions', 'degraded_reason', 'personal', '12 mois', true, 'avec le membre (cascade)');
