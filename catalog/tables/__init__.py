"""The lake's tables: one declaration each, which DDL, loads, verification and readers all read."""
