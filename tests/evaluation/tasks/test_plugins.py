"""Tasks of other packages: real packages with real metadata, on a path of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from osler.errors import EvaluationError
from osler.evaluation import tasks
from osler.evaluation.tasks import plugins

CODE = """
from osler.evaluation.tasks import Task


class Hands(Task):
    name = "hands"
    version = "1"
    description = "Fractures of the hand, yes or no"
    protocols = ("yes-no",)

    def load(self, data, *, split, convention):
        return []


TASK = Hands()
OTHER = "no task"
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make a package with entry points as an installer leaves it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(package: str, points: dict[str, str], code: str = CODE) -> Path:
        (tmp_path / f"{package}.py").write_text(code)
        info = tmp_path / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        lines = "".join(f"{name} = {package}:{target}\n" for name, target in points.items())
        (info / "entry_points.txt").write_text(f"[osler.tasks]\n{lines}")
        return tmp_path

    yield make
    for name in [name for name in sys.modules if name.startswith("plug_")]:
        del sys.modules[name]


def test_a_task_or_its_class_is_found_by_name_and_imported_only_then(install) -> None:
    install("plug_hands", {"hands": "Hands"})
    assert "hands" in tasks.names()
    assert "plug_hands" not in sys.modules
    assert tasks.get("vqa-rad").name == "vqa-rad"
    assert "plug_hands" not in sys.modules, "our own names need no plug-in"
    assert tasks.get("hands").description == "Fractures of the hand, yes or no"
    with pytest.raises(EvaluationError, match="did you mean 'hands'"):
        tasks.get("hand")


@pytest.mark.parametrize(
    ("points", "code", "reason"),
    [
        (
            {"hands": "TASK"},
            "import nothing_such",
            r"plug-in task 'hands' of plug_bad 1\.2 \(plug_bad:TASK\) fails: ModuleNot",
        ),
        ({"hands": "MISSING"}, CODE, "fails: AttributeError"),
        ({"hands": "TASK"}, "raise RuntimeError('no licence')", "fails: RuntimeError: no licence"),
        ({"hands": "OTHER"}, CODE, "is a str, not an osler"),
        ({"feet": "TASK"}, CODE, "its task is called 'hands'; want 'feet'"),
    ],
)
def test_a_fault_names_package_entry_point_and_reason(points: dict[str, str], code: str, reason: str, install) -> None:
    install("plug_bad", points, code)
    with pytest.raises(EvaluationError, match=reason):
        tasks.get(next(iter(points)))


def test_two_packages_with_one_name_are_told(install) -> None:
    install("plug_one", {"hands": "TASK"})
    install("plug_two", {"hands": "TASK"})
    with pytest.raises(
        EvaluationError, match=r"offered twice: .*plug_one.*plug_two|offered twice: .*plug_two.*plug_one"
    ):
        plugins.load("hands")


def test_our_own_names_are_not_overridden(install) -> None:
    install("plug_thief", {"vqa-rad": "TASK"})
    assert type(tasks.get("vqa-rad")).__module__ == "osler.evaluation.tasks.vqa_rad"


def test_the_list_has_plugins_and_says_which_fail(install, tmp_path: Path) -> None:
    install("plug_hands", {"hands": "TASK"})
    install("plug_bad", {"feet": "TASK"}, "raise RuntimeError('no licence')")
    arguments = "sys.argv = ['osler', 'eval', '--list']"
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {arguments}; import osler.cli; osler.cli.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "Fractures of the hand" in lines["hands"]
    assert "CANNOT BE USED: plug-in task 'feet' of plug_bad 1.2" in lines["feet"]
    assert "RuntimeError: no licence" in lines["feet"]
    assert set(tasks.names()) <= set(lines)
