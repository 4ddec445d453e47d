"""Situations that change data capture gets wrong, each as data: SQL on Postgres, and what the lake must hold then.

`situation` (one declaration), `typed` (one of values), `numbers`, `texts`, `changes`, `schemas` and `large` (the
declarations by theme), `situations` (all of them), `scene` (their tables made, joined and taken
away), `run` (all of them at once, and what was found).
"""
