"""The embedded stack: the lakehouse's components as supervised processes on loopback. It knows no tables.

Reading order: `component` and `groups/` (what there is, and what depends on what), `components` (which of it is
meant), `commands` (how each is run) with `configuration` and `templates/`, `preflight` (what must be right beforehand),
`control` (up, down) and `states`, which stands on `supervision` (supervisord), `health` (real requests), `postgres`,
`kafka`, `s3`, `spark`, `airflow` and `processes`.
"""
