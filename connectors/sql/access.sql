-- The replication role reads every table of the schema, those made later too, and writes only its heartbeat and the signals.
grant usage on schema public to cdc;
grant select on all tables in schema public to cdc;
alter default privileges in schema public grant select on tables to cdc;
grant insert, update, delete on heartbeat, signal to cdc;
