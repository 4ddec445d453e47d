-- The replication role reads every table of the schema, those made later too.
grant select on all tables in schema public to cdc;
alter default privileges in schema public grant select on tables to cdc;
