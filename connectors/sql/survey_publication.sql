select
    pg_get_userbyid(pubowner)::text as owner,
    pubinsert and pubupdate and pubdelete and pubtruncate as all_operations,
    pubviaroot as via_root,
    (select count(*) from pg_publication_tables t where t.pubname = p.pubname)::int as tables
from pg_publication p
where pubname = %(publication)s
