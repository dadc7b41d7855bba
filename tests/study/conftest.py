from __future__ import annotations

from pathlib import Path

import pytest

from osler.sources import phantom
from osler.study.one_run import Setting

# one pool of 64 for retrieval is the least that a run needs
SIZE: dict[phantom.Split, int] = {"instruct": 40, "train": 6, "dev": 4, "test": 6, "heldout": 64}
SHORT = (
    "stages.pretrain.max_steps=2",
    "stages.finetune.max_steps=2",
    "stages.pretrain.batch_size=16",
    "stages.finetune.batch_size=8",
)


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(phantom.SIZES, "tiny", SIZE)
        phantom.build(folder, size="tiny")
    return folder


@pytest.fixture(scope="session")
def untaught_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's model with random weights: what a run does with it does not depend on what it has learned."""
    from osler.study import pretrained_language, small_model

    texts = [*small_model.texts_of(pretrained_language.conversations(60)), *pretrained_language.short_questions(20)]
    folder = tmp_path_factory.mktemp("base") / "base-s0"
    small_model.make_model(texts, seed=0).save(folder)
    return folder


@pytest.fixture
def setting(phantom_folder: Path, untaught_base: Path, tmp_path: Path) -> Setting:
    work = tmp_path / "work"
    work.mkdir()
    setting = Setting(data=phantom_folder, work=work, results=tmp_path / "results", overrides=SHORT)
    setting.base(0).symlink_to(untaught_base, target_is_directory=True)
    return setting
