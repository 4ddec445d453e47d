-- weather.hourly_weather, one row per place and hour, with the hours of the view `candidate` merged in.
-- Measured stands above derived, an hour that was above its forecast, a later forecast above an earlier one; of equals
-- the candidate is taken. So runs over the same days may come twice, backwards or at once. The table is copy-on-write.
-- :first and :last are the candidate's hours; they keep other days' files unread.
merge into iceberg.weather.hourly_weather as held
using candidate as loaded
on
    held.location_id = loaded.location_id
    and held.observed_at = loaded.observed_at
    and held.observed_at between :first and :last
when matched and (
    held.derived and not loaded.derived
    or held.derived = loaded.derived and (loaded.forecast_at is null or loaded.forecast_at >= held.forecast_at)
)
    then update set *
when not matched then insert *
