import pytest
import typer
from PIL import Image

from osler.cli.explain import numbers


def test_typed_in_full(tmp_path, osler, taught):
    Image.new("RGB", (40, 30), "red").save(tmp_path / "scan.png")
    done = osler(
        "explain", taught, "--image", tmp_path / "scan.png", "--ask", "what is this", "--layers", "0-1",
        "--out", tmp_path / "why.png", "--box-format", "pixel_xyxy",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert "answer:" in done.out
    assert "not for clinical use" in done.out
    assert (tmp_path / "why.png").is_file()


def test_numbers():
    assert numbers("3,5,8-10", "--layers") == [3, 5, 8, 9, 10]
    assert numbers(" ", "--layers") is None
    with pytest.raises(typer.BadParameter, match="no number"):
        numbers("three", "--layers")
