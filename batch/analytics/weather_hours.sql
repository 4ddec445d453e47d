-- Weather by origin and hour, of Central Park. Grain: origin, hour. For `tlc` the hours as they were; for `cdc` the
-- same hours moved by :shift_weeks as New York local time, as the replay moved the trips, and therefore derived. An
-- hour that the record lacks there (it ends a few days after its trips) has the weather of 52 weeks earlier, so that
-- tomorrow has weather too.
with record as (
    select
        observed_at as hour,
        from_utc_timestamp(observed_at, 'America/New_York') as local_hour,
        temperature_celsius,
        precipitation_mm,
        wind_speed_kmh,
        humidity,
        weather_condition,
        derived
    from weather.hourly_weather
    where location_id = 1 and shift_weeks is null
),

-- the year of the trips that are replayed, to the end of the record that ships: a source that measures has now as well
replayable as (
    select * from record
    where local_hour < timestamp'2020-01-04'
),

reach as (
    select
        min(local_hour) as first_hour,
        max(local_hour) as last_hour,
        make_dt_interval(7 * :shift_weeks) as shift
    from replayable
),

replayed as (
    select
        explode(sequence(
            to_utc_timestamp(first_hour + shift, 'America/New_York'),
            to_utc_timestamp(last_hour + shift + interval 364 days, 'America/New_York'),
            interval 1 hour
        )) as hour,
        shift
    from reach
),

candidates as (
    select
        replayed.hour,
        earlier.days,
        to_utc_timestamp(
            from_utc_timestamp(replayed.hour, 'America/New_York') - replayed.shift - make_dt_interval(earlier.days),
            'America/New_York'
        ) as source_hour
    from replayed
    cross join (values (0), (364)) as earlier (days)
),

sources as (
    select candidates.hour, min_by(replayable.hour, candidates.days) as source_hour
    from candidates
    inner join replayable on replayable.hour = candidates.source_hour
    group by candidates.hour
)

select
    'tlc' as origin,
    hour,
    temperature_celsius,
    precipitation_mm,
    wind_speed_kmh,
    humidity,
    weather_condition,
    derived
from record
union all
select
    'cdc' as origin,
    sources.hour,
    temperature_celsius,
    precipitation_mm,
    wind_speed_kmh,
    humidity,
    weather_condition,
    true as derived
from sources
inner join record on record.hour = sources.source_hour
