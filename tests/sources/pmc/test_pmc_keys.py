"""Names that strangers give never lead out of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.errors import RecordError
from osler.sources.pmc.keys import BUCKET, Version, check_name, parse_url, version_of, version_of_metadata

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)

ONE = Version(12, 3)


def test_versions_compare_as_numbers() -> None:
    assert Version(1, 10) > Version(1, 2)
    assert (ONE.pmcid, ONE.name, ONE.metadata_key) == ("PMC12", "PMC12.3", "metadata/PMC12.3.json")
    assert version_of("PMC12.3") == version_of_metadata("metadata/PMC12.3.json") == ONE


@pytest.mark.parametrize("text", ["PMC12", "PMC012.3", "PMC12.3.4", "pmc12.3", "PMC12.3/", "metadata/PMC12.3", "PMC.1"])
def test_what_is_no_version(text: str) -> None:
    assert version_of(text) is None
    assert version_of_metadata(f"x{text}") is None


def test_addresses() -> None:
    md5 = "0" * 32
    assert parse_url(f"s3://{BUCKET}/PMC12.3/a b?c#d.jpg?md5={md5}", ONE) == ("PMC12.3/a b?c#d.jpg", md5)
    assert parse_url(f"s3://{BUCKET}/PMC12.3/a.jpg", ONE) == ("PMC12.3/a.jpg", None)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://example.org/a.jpg", "is not of the bucket"),
        ("s3://other/PMC12.3/a.jpg", "is not of the bucket"),
        (f"s3://{BUCKET}/PMC12.4/a.jpg", "does not lie in PMC12.3/"),
        (f"s3://{BUCKET}/metadata/a.json", "does not lie in PMC12.3/"),
        (f"s3://{BUCKET}/PMC12.3/", "is empty"),
        (f"s3://{BUCKET}/PMC12.3/..", "a way out"),
        (f"s3://{BUCKET}/PMC12.3/../x", "way out|another folder"),
        (f"s3://{BUCKET}/PMC12.3/b/x", "another folder"),
        (f"s3://{BUCKET}/PMC12.3/b\\x", "another folder"),
        (f"s3://{BUCKET}/PMC12.3/b%2Fx", "another folder"),
        (f"s3://{BUCKET}/PMC12.3/a\n.jpg", "control characters"),
        (f"s3://{BUCKET}/PMC12.3/{'é' * 150}", "too long"),
        (f"s3://{BUCKET}/PMC12.3/a.jpg ", "space or stop"),
        (f"s3://{BUCKET}/PMC12.3/a.jpg?md5=xyz", "32 hex digits"),
    ],
)
def test_addresses_that_are_refused(url: str, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        parse_url(url, ONE)


@PATIENT
@given(st.text(max_size=30) | st.text("./\\%2fF:a\0 ", max_size=8))
def test_a_name_that_is_taken_stays_in_its_folder(name: str) -> None:
    folder = Path("/mirror/PMC12.3")
    try:
        check_name(name)
    except RecordError:
        return
    assert (folder / name).resolve().parent == folder
