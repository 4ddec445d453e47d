"""What commands leave for the driver in the state folder."""

import pytest

from catalog.settings import Settings
from streaming.requests import Request, answer, draining, finish, held, pending, submit, withdraw


@pytest.fixture
def settings(tmp_path):
    return Settings(_env_file=None, state_dir=tmp_path)


def test_what_is_asked_of_a_table_but_a_replay_or_a_drain_keeps_it_out_of_the_query(settings):
    for kind in ("hold", "resync", "release", "replay", "drain"):
        submit(settings, Request(kind, f"public.{kind}"))
    assert held(settings) == {"public.hold", "public.resync", "public.release"}
    assert draining(settings) == {"public.drain"}


def test_a_joining_table_is_out_without_a_gap(settings):
    hold, resync = Request("hold", "public.items"), Request("resync", "public.items")
    submit(settings, hold)
    submit(settings, resync)
    withdraw(settings, hold)
    assert held(settings) == {"public.items"}
    finish(settings, resync, {"rows": 3})
    assert (held(settings), answer(settings, resync)) == (set(), {"rows": 3})


def test_asking_twice_is_one_request_and_withdrawing_twice_is_harmless(settings):
    hold = Request("hold", "public.items")
    for _ in range(2):
        submit(settings, hold)
    assert pending(settings) == [hold]
    for _ in range(2):
        withdraw(settings, hold)
    assert pending(settings) == []
