-- Drops the ledgers. Their rows are lost.
delete from jarvis.data_map
 where schema_name = 'jarvis' and table_name in ('price_book', 'usage_ledger', 'audit_log');
drop table jarvis.audit_log;
drop table jarvis.usage_ledger;
drop table jarvis.price_book;
drop function jarvis.never_edited();
