"""Keys are found by their secret alone, kept as hashes in a file of its owner, and end; rates hold for each key."""

import stat
from datetime import UTC, datetime, timedelta

import pytest

from catalog.errors import ConfigurationError
from serving.api.access import Access
from serving.api.keys import DASHBOARD, FILE_NAME, Keys, Scope, written
from serving.api.problems import ProblemError

ALL = frozenset(Scope)


@pytest.fixture
def keys(tmp_path) -> Keys:
    return Keys(tmp_path / "state")


def problem(access: Access, presented: str | None) -> str:
    with pytest.raises(ProblemError) as refused:
        access.key(presented, "127.0.0.1")
    return refused.value.name


def test_a_key_is_found_by_its_secret_and_kept_as_a_hash(keys, tmp_path):
    key, secret = keys.create("dashboard", frozenset({Scope.ANALYTICS}))
    assert keys.find(secret) == key
    file = tmp_path / "state" / FILE_NAME
    assert secret.split("_")[2].encode() not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_but_the_whole_key_is_found(keys):
    key, secret = keys.create("one", ALL)
    _, other = keys.create("other", ALL)
    mixed = f"lake_{key.id}_{other.split('_')[2]}"
    for text in ("", "lake", "lake__", f"lake_{key.id}_", secret[:-1], secret + "0", secret.upper(), mixed, "é" * 40):
        assert keys.find(text) is None, text


def test_a_key_ends_when_it_expires_or_is_revoked(keys):
    access = Access(keys, "5/minute")
    now = datetime.now(UTC)
    _, expired = keys.create("late", ALL, now - timedelta(seconds=1))
    key, secret = keys.create("revoked", ALL, now + timedelta(days=1))
    assert access.key(secret, "127.0.0.1") == key
    assert access.still_valid(key)
    first = keys.revoke(key.id).revoked_at
    assert not access.still_valid(key)
    assert keys.revoke(key.id).revoked_at == first, "a second time changes nothing"
    assert problem(access, secret) == "unauthorized"
    assert problem(access, expired) == "unauthorized"
    assert [each.name for each in keys.listed()] == ["late", "revoked"]


def test_the_dashboard_s_key_is_there_from_the_start_and_stays_revoked(keys):
    access = Access(keys, "5/minute")
    for secret in ("a" * 40, "b" * 40, "b" * 40):
        keys.ensure(DASHBOARD, secret, ALL)
        assert access.key(written(DASHBOARD, secret), "127.0.0.1").scopes == ALL
    assert problem(access, written(DASHBOARD, "a" * 40)) == "unauthorized"
    keys.revoke(DASHBOARD)
    keys.ensure(DASHBOARD, "b" * 40, ALL)
    assert problem(access, written(DASHBOARD, "b" * 40)) == "unauthorized"


def test_an_unknown_key_cannot_be_revoked(keys):
    with pytest.raises(ConfigurationError, match="no API key nope") as refused:
        keys.revoke("nope")
    assert refused.value.remedy == "lake keys list"


def test_a_key_reaches_its_scopes_only(keys):
    access = Access(keys, "5/minute")
    key, _ = keys.create("dashboard", frozenset({Scope.ANALYTICS}))
    access.admit(key, Scope.ANALYTICS)
    with pytest.raises(ProblemError, match="needs the scope tables") as refused:
        access.admit(key, Scope.TABLES)
    assert refused.value.name == "forbidden"


def test_each_key_has_a_rate_of_its_own_and_is_told_when_to_come_back(keys):
    access = Access(keys, "5/minute")
    one, other = keys.create("one", ALL)[0], keys.create("other", ALL)[0]
    for _ in range(5):
        access.admit(one, Scope.TABLES)
    with pytest.raises(ProblemError) as refused:
        access.admit(one, Scope.TABLES)
    assert refused.value.name == "too-many-requests"
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 120
    access.admit(other, Scope.TABLES)


def test_an_address_that_guesses_keys_has_to_wait(keys):
    access = Access(keys, "5/minute")
    answers = [problem(access, f"lake_{n:08x}_{'0' * 64}") for n in range(70)]
    assert answers[0] == "unauthorized"
    assert answers[-1] == "too-many-requests"
    key, secret = keys.create("good", ALL)
    assert access.key(secret, "127.0.0.1") == key, "a valid key is let in all the same"


def test_a_rate_that_is_none_is_refused(keys):
    with pytest.raises(ConfigurationError, match="LAKE_API_RATE"):
        Access(keys, "as often as you like")
