-- Drops the memory tables.

set local lock_timeout = '10s';
set local statement_timeout = '120s';

do $rows$
declare
  lost text;
  filled boolean;
begin
  foreach lost in array array['public.conversation_sessions', 'public.conversation_events', 'public.member_facts',
                            'jarvis.member_fact_history', 'public.conversation_summaries'] loop
    execute format('select exists (select from %s)', lost) into filled;
    if filled and coalesce(current_setting('jarvis.allow_data_loss', true), '') <> 'on' then
      raise exception using errcode = 'JD001', message = 'data_would_be_lost', detail = lost,
        hint = 'Cette migration efface des lignes : ajoutez --allow-data-loss si c''est voulu.';
    end if;
  end loop;
end
$rows$;

drop function public.match_conversation_summaries, jarvis.recall_text, public.member_cautions, jarvis.cautions_of,
  jarvis.forget_fact, jarvis.calibration;
drop table jarvis.summary_vectors, jarvis.embedding_models, public.conversation_summaries;
drop function jarvis.keep_summary_vector(), jarvis.guard_summary();
-- The functions that take a fact depend on its row type.
drop function jarvis.fact_refusal, jarvis.same_value_again;
drop table jarvis.member_fact_history, public.member_facts;
drop function jarvis.guard_fact(), jarvis.record_fact(), jarvis.change_session, jarvis.quote_is_said,
  jarvis.check_fact_value, jarvis.is_health_fact;
drop table public.conversation_events, public.conversation_sessions;
drop function jarvis.events_arrived(), jarvis.event_consent(), jarvis.event_session(), jarvis.keep_session_member();
revoke select (embedding_model) on public.gyms from jarvis_writer;
