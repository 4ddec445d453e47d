"""What verifications found is kept by table, the newest of each."""

from catalog.verification import Difference, TableReport, VerificationReport
from catalog.verified import keep, kept


def report(*tables: TableReport) -> VerificationReport:
    return VerificationReport(1, tables, 0.1)


def test_each_table_keeps_its_newest_finding(tmp_path):
    assert kept(tmp_path / "none") == []
    changed = (Difference({"id": 1}, "missing"),)
    keep(tmp_path, report(TableReport("public.a", 5), TableReport("public.b", 7, 1, differences=changed)))
    keep(tmp_path, report(TableReport("public.b", unverified="its topic is gone")))
    found = {each["table"]: each for each in kept(tmp_path)}
    assert (found["public.a"]["equal"], found["public.a"]["rows_compared"]) == (True, 5)
    assert (found["public.a"]["lsn"], found["public.a"]["known_to_differ"]) == ("0/1", 0)
    assert found["public.b"]["known_to_differ"] == 1, "the last comparison that took place"
    assert (found["public.b"]["equal"], found["public.b"]["unverified"]) == (False, "its topic is gone")
    assert [file.name for file in tmp_path.iterdir()] == ["verified.json"]
