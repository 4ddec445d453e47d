"""Weather by the hour, from an API of Open-Meteo's shape or derived from the daily record that ships; zones and places.

steps, plan          the DAG's tasks; which days a run loads, from where
record, diurnal      Central Park's daily record, and its hours by a documented curve
openmeteo, response  asking the API within its limits; what is taken from an answer, set aside or refused
readings             hours as rows of weather.hourly_weather; publish and hourly_weather.sql bring them there
places, zones        where weather is loaded for; TLC's taxi zones with shapes and centroids
"""
