-- Sessions whose locks make a table wait that joins or changes its identity. Other roles' state is hidden from most.
select
    l.pid,
    coalesce(a.usename::text, '') as role,
    coalesce(a.state, 'unknown to this role') as state,
    extract(epoch from clock_timestamp() - a.xact_start)::float as seconds,
    array_agg(distinct format('%%I.%%I', n.nspname, c.relname)) as tables
from pg_locks l
join pg_class c on c.oid = l.relation
join pg_namespace n on n.oid = c.relnamespace
left join pg_stat_activity a on a.pid = l.pid
where l.granted and l.pid <> pg_backend_pid() and l.mode <> 'AccessShareLock' and l.mode <> 'RowShareLock'
  and l.database = (select oid from pg_database where datname = current_database())
  and c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'
group by l.pid, a.usename, a.state, a.xact_start
order by seconds desc nulls last
