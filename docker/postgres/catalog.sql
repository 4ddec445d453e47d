-- Run once, by psql, when the cluster is made: the REST catalog's role and database. `lake connect` makes the source's.
\getenv password LAKE_CATALOG_PASSWORD
create role catalog login password :'password';
create database catalog owner catalog;
revoke all on database catalog from public;
