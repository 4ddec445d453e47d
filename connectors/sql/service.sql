-- What Debezium and verification need in any source. Run as role taxi, before anything of the example, as often as wanted.

create table if not exists heartbeat (
    id    bigint      primary key,
    at    timestamptz not null default now(),
    nonce text
);

comment on table heartbeat is 'id 1 is written by the connector, so that an idle source frees its WAL; other ids are barriers of lake verify';

-- Two rows at least: the first and the last record of an initial copy's first table are then not the same record.
insert into heartbeat (id) values (0), (1) on conflict (id) do nothing;

create table if not exists signal (
    id   varchar(42) primary key,
    type varchar(32) not null,
    data text
);

comment on table signal is 'commands to the connector, such as execute-snapshot';

grant usage on schema public to cdc;
grant select, insert, update, delete on heartbeat, signal to cdc;

-- Setting the identity again would wait for every reader.
do $$
begin
    if (select relreplident from pg_class where oid = 'heartbeat'::regclass) <> 'f' then
        alter table heartbeat replica identity full;
    end if;
end
$$;
