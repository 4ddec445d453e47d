-- Run by psql whenever the profile airflow starts: Airflow's role and database, made when they are missing.
\getenv password LAKE_AIRFLOW_DATABASE_PASSWORD
select 'create role airflow login' where not exists (select from pg_roles where rolname = 'airflow') \gexec
alter role airflow login password :'password';
select 'create database airflow owner airflow' where not exists (select from pg_database where datname = 'airflow') \gexec
revoke all on database airflow from public;
