-- Takes back the import's tables and functions; the runner counts the rows that would be lost and asks first. What was
-- imported stays where it is, and the predecessor's tables were never touched.

set local lock_timeout = '10s';
set local statement_timeout = '120s';

drop trigger c30_legacy on jarvis.consent_ledger;
revoke insert, update on public.member_facts from jarvis_writer;
revoke select (id), update (transcript, tool_args) on public.conversation_events from jarvis_writer;
revoke update (state_reason) on public.conversation_sessions from jarvis_writer;

drop function jarvis.legacy_reconciliation, jarvis.legacy_import, jarvis.legacy_import_gyms, jarvis.legacy_state_consents, jarvis.legacy_import_log,
  jarvis.legacy_write_events, jarvis.legacy_session, jarvis.legacy_member, jarvis.legacy_event,
  jarvis.legacy_event_type, jarvis.legacy_pick, jarvis.legacy_import_member, jarvis.legacy_wanted,
  jarvis.legacy_hold_facts, jarvis.legacy_history, jarvis.legacy_open_balance, jarvis.legacy_badge,
  jarvis.legacy_write, jarvis.legacy_gym, jarvis.legacy_mend_row, jarvis.legacy_refuse, jarvis.legacy_hold_fact,
  jarvis.legacy_hold, jarvis.legacy_fact, jarvis.legacy_fact_columns, jarvis.legacy_columns, jarvis.legacy_consented,
  jarvis.legacy_release, jarvis.legacy_source, jarvis.legacy_table, jarvis.legacy_times_of_day, jarvis.legacy_fit,
  jarvis.legacy_words, jarvis.legacy_object, jarvis.legacy_items, jarvis.legacy_filled, jarvis.legacy_mend,
  jarvis.legacy_sequence, jarvis.legacy_byte;
drop table jarvis.legacy_held, jarvis.legacy_rows, jarvis.legacy_gyms;
drop function jarvis.legacy_row_erased();
drop type jarvis.legacy_decoded;
