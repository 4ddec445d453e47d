-- Every relation that people call a table, with what decides whether it can be mirrored. A partitioned table is one; its
-- rows, bytes and replica identities are those of its partitions. Reads catalogs only.
select
    n.nspname::text as schema,
    c.relname::text as name,
    c.relkind::text as kind,
    c.relpersistence = 'u' as is_unlogged,
    has_schema_privilege(n.oid, 'usage') as is_open,
    has_schema_privilege(%(reader)s, n.oid, 'usage') and has_table_privilege(%(reader)s, c.oid, 'select') as is_readable,
    pg_get_userbyid(c.relowner)::text as owner,
    c.relrowsecurity
        and (c.relforcerowsecurity or not pg_has_role(%(reader)s, c.relowner, 'usage'))
        and not exists (select from pg_roles where rolname = %(reader)s and (rolsuper or rolbypassrls)) as hides_rows,
    published.oid is not null as is_published,
    exists (select from pg_inherits i where i.inhparent = c.oid) and c.relkind = 'r' as has_heirs,
    case when min(part.reltuples) filter (where part.relkind <> 'p') < 0 then null
        else coalesce(sum(part.reltuples) filter (where part.relkind <> 'p'), 0)::bigint end as rows,
    sum(pg_table_size(part.oid))::bigint as bytes,
    array_agg(distinct part.relreplident::text) as identities,
    coalesce(
        array_agg(array[pn.nspname::text, part.relname::text]) filter (where part.relreplident <> 'f'), '{}'
    ) as without_full_identity,
    exists (
        select from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attstorage in ('x', 'e')
    ) as is_toastable,
    array(
        select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attgenerated <> '' order by a.attnum
    ) as generated,
    (
        select array_agg(a.attname::text order by k.place)
        from unnest(candidate.indkey::int2[]) with ordinality k (attnum, place)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
        where k.place <= candidate.indnkeyatts
    ) as unique_columns,
    case when not candidate.is_constraint then candidate.relname::text end as unique_index
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (
    with recursive tree as (
        select c.oid, c.relkind
        union all
        select child.oid, child.relkind
        from tree join pg_inherits i on i.inhparent = tree.oid join pg_class child on child.oid = i.inhrelid
        where tree.relkind = 'p'
    )
    select oid from tree
) tree
join pg_class part on part.oid = tree.oid
join pg_namespace pn on pn.oid = part.relnamespace
left join lateral (
    select i.indkey, i.indnkeyatts, ic.relname, exists (select from pg_constraint where conindid = ic.oid) as is_constraint
    from pg_index i join pg_class ic on ic.oid = i.indexrelid
    where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indimmediate
      and i.indpred is null and i.indexprs is null
      and not exists (
          select from pg_attribute a
          where a.attrelid = c.oid and a.attnum = any (i.indkey::int2[]) and not a.attnotnull
      )
    order by i.indnkeyatts, ic.relname limit 1
) candidate on true
left join (
    select format('%%I.%%I', t.schemaname, t.tablename)::regclass::oid as oid
    from pg_publication_tables t where t.pubname = %(publication)s
) published on published.oid = c.oid
where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
group by n.oid, n.nspname, c.oid, c.relname, c.relkind, c.relpersistence, c.relowner, published.oid, candidate.indkey, candidate.indnkeyatts,
    candidate.relname, candidate.is_constraint
order by 1, 2
