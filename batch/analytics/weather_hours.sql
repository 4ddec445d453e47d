-- Weather by origin and hour, of Central Park. Grain: origin, hour. For `tlc` the hours as they were; for `cdc` the same
-- hours moved by :shift_weeks as New York local time, as the replay moved the trips, and therefore derived. The record
-- ends soon after its trips: the 52 weeks after its end are those before it once more, so that tomorrow has weather too.
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

reach as (
    select
        min(local_hour) as first_hour,
        max(local_hour) as last_hour,
        make_dt_interval(7 * :shift_weeks) as shift
    from record
),

replayed as (
    select
        reach.*,
        explode(sequence(
            to_utc_timestamp(first_hour + shift, 'America/New_York'),
            to_utc_timestamp(last_hour + shift + interval 364 days, 'America/New_York'),
            interval 1 hour
        )) as hour
    from reach
),

unmoved as (
    select
        hour,
        last_hour,
        from_utc_timestamp(hour, 'America/New_York') - shift as local_hour
    from replayed
),

sources as (
    select
        hour,
        to_utc_timestamp(
            case when local_hour <= last_hour then local_hour else local_hour - interval 364 days end,
            'America/New_York'
        ) as source_hour
    from unmoved
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
