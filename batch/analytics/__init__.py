"""Metrics of trips and weather, from two origins that are never summed: `tlc` files and the `cdc` mirror.

steps          what the DAG calls: are the sources there, compute, is the stream alive
views          the inputs that every table here shares: tlc_trips, cdc_trips → trips; weather_hours
*.sql          each a view or a table of that name
"""
