"""Batch loads, analytics and models: one step at a time, told by Airflow or by hand.

__main__, steps, job   `python -m batch DATASET STEP`: the steps there are, and what each is given
landing                raw input as it came: bytes, SHA-256, origin and time, kept in the store
taxi, weather          sources: land → validate → publish one interval as a whole
analytics, models      tables computed from the others, each by the .sql file of its name; demand and fare models
loading, quality       how an interval replaces itself, the rules that it must pass; control records both
"""
