-- Drops the memory tables. The runner counts the rows that would be lost and asks first.

set local lock_timeout = '10s';
set local statement_timeout = '120s';

drop function public.match_conversation_summaries, jarvis.recall_text, public.member_cautions, jarvis.cautions_of,
  jarvis.forget_fact, jarvis.calibration;
drop table jarvis.summary_vectors, jarvis.embedding_models, public.conversation_summaries;
drop function jarvis.keep_summary_vector(), jarvis.guard_summary();
-- The functions that take a fact depend on its row type.
drop function jarvis.fact_refusal, jarvis.record_refusal, jarvis.same_value_again;
drop table jarvis.member_fact_history, public.member_facts;
drop function jarvis.guard_fact(), jarvis.record_fact(), jarvis.change_session, jarvis.quote_is_said,
  jarvis.check_fact_value, jarvis.is_health_fact;
drop table public.conversation_events, public.conversation_sessions;
drop function jarvis.events_arrived(), jarvis.event_consent(), jarvis.event_session(), jarvis.keep_session_member();
revoke select (embedding_model) on public.gyms from jarvis_writer;
