"""The plan: one row an article, the newest version, whatever the order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.errors import SourceError
from osler.sources.pmc.keys import Version
from osler.sources.pmc.plan import Plan
from osler.sources.pmc.stores import Listed

VERSIONS = st.lists(st.builds(Version, st.integers(1, 5), st.integers(1, 12)), unique=True)


@given(VERSIONS)
@settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_newest_version_is_planned(tmp_path: Path, versions: list[Version]) -> None:
    plan = Plan(tmp_path / "plan.sqlite3")
    plan.replace(Listed(version, f"e{version.version}", "2026-01-01") for version in versions)
    by_number: dict[int, list[int]] = {}
    for version in versions:
        by_number.setdefault(version.number, []).append(version.version)
    found = [(item.number, item.listed, item.older) for item in plan.articles()]
    plan.close()
    assert found == [
        (number, Listed(Version(number, max(known)), f"e{max(known)}", "2026-01-01"), len(known) - 1)
        for number, known in sorted(by_number.items())
    ]


def test_dates_limits_and_absent_articles(tmp_path: Path) -> None:
    plan = Plan(tmp_path / "plan.sqlite3")
    for number, changed in ((3, "2026-03-05T10:00"), (1, "2026-01-31T10:00"), (2, "2026-02-01T10:00")):
        plan.add(number, [Listed(Version(number, 1), "e", changed)])
    plan.add(9, [])

    def numbers(**chosen: object) -> list[int]:
        return [item.number for item in plan.articles(**chosen)]  # type: ignore[arg-type]

    assert numbers() == [1, 2, 3, 9]
    assert numbers(limit=2) == [1, 2]
    assert numbers(changed_since="2026-02") == [2, 3, 9]
    assert numbers(changed_since="2026-02-01", changed_until="2026-02") == [2, 9]
    assert plan.has(9)
    assert not plan.has(4)
    plan.close()


def test_a_listing_that_fails_changes_nothing(tmp_path: Path) -> None:
    plan = Plan(tmp_path / "plan.sqlite3")
    plan.add(1, [Listed(Version(1, 1), "e", "")])

    def broken():
        yield Listed(Version(2, 1), "e", "")
        raise SourceError("gone")

    with pytest.raises(SourceError, match="gone"):
        plan.replace(broken())
    assert [item.number for item in plan.articles()] == [1]
    plan.close()


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.sqlite3").write_text("not a database, but a text that is long enough" * 10)
    with pytest.raises(SourceError, match="is no plan of a harvest"):
        Plan(tmp_path / "plan.sqlite3")
