-- Drops the ledger of erasures. Its rows are lost: a restored backup could bring erased members back.
delete from jarvis.data_map where schema_name = 'jarvis' and table_name = 'erasures';
drop trigger b20_erased on public.gym_members_v2;
drop function jarvis.refuse_erased();
drop table jarvis.erasures;
