from __future__ import annotations

from pathlib import Path

import pytest

from osler.errors import SourceError
from osler.sources import Source, get, names


@pytest.mark.parametrize("name", names())
def test_each_source_tells_about_itself(name: str) -> None:
    source = get(name)
    assert isinstance(source, Source)
    assert source.name == name
    assert source.title
    assert source.licence
    assert source.description.endswith(".")
    assert source.state()
    assert all(source.options.values())


@pytest.mark.parametrize("name", names())
def test_an_unknown_option_is_refused_before_anything_is_done(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no option 'colour'"):
        get(name).get(tmp_path / "out", colour="red")
    assert not (tmp_path / "out").exists()


def test_a_near_name_is_offered() -> None:
    with pytest.raises(SourceError, match="did you mean 'llava-json'"):
        get("llava_json")
    with pytest.raises(SourceError, match="did you mean 'size'"):
        get("sample").get(Path("nowhere"), siez="demo")


def test_a_required_option_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"needs from=\.\.\.: the CSV file"):
        get("image-csv").get(tmp_path)


@pytest.mark.parametrize("options", [{"size": "huge"}, {"seed": "soon"}])
def test_sample_refuses_nonsense(options: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=next(iter(options.values()))):
        get("sample").get(tmp_path, **options)
