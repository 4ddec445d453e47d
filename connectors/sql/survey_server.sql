-- What the whole server, the database and the role that is to read allow. Reads catalogs only.
select
    current_setting('server_version') as version,
    current_setting('server_version_num')::int as version_number,
    current_setting('wal_level') as wal_level,
    pg_is_in_recovery() as is_standby,
    current_setting('server_encoding') as encoding,
    current_setting('max_replication_slots')::int as slots,
    (select count(*) from pg_replication_slots)::int as slots_used,
    (select wal_status from pg_replication_slots where slot_name = %(slot)s) as own_slot,
    current_setting('max_wal_senders')::int as senders,
    (select count(*) from pg_stat_replication)::int as senders_used,
    %(reader)s::text as role,
    exists (
        select from pg_roles r
        where r.rolname = %(reader)s and (r.rolreplication or r.rolsuper)
           or r.rolname = 'rds_replication' and pg_has_role(%(reader)s, r.oid, 'member')
    ) as may_replicate,
    current_database()::text as database,
    coalesce(has_table_privilege(%(reader)s, to_regclass('public.heartbeat'), 'insert, update'), false)
        and coalesce(has_table_privilege(%(reader)s, to_regclass('public.signal'), 'select'), false) as has_service_tables
