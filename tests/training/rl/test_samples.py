import json
import warnings
from types import SimpleNamespace

from PIL import Image

from osler.training.rewards.combined import Combined
from osler.training.rewards.localisation import Localisation
from osler.training.rl.samples import SampleLog


def logged(folder, text, *, step=1):
    rewards = Combined([Localisation("pixel_xyxy")], {"localisation": 1.0}, group=1)
    log = SampleLog(rewards, folder, every=1)
    rewards(
        ["q"], [text], id=["one"], reference=["r"], boxes=[[(1, 1, 9, 9)]], size=[(20, 10)], box_format=["pixel_xyxy"],
        images=[[Image.new("RGB", (20, 10))]],
    )  # fmt: skip
    log.on_step_end(None, SimpleNamespace(is_world_process_zero=True, global_step=step), None)
    return log


def test_any_text_can_be_drawn(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # letters that the font lacks are nobody's concern
        for step, text in enumerate(
            ("", "$", r"costs $x^{ and \\frac$", "[1, 1, 9, 9] ok", "\x00\u2603" * 40), start=1
        ):
            logged(tmp_path, text, step=step)
            assert (tmp_path / f"step-{step:06d}.png").is_file()


def test_a_resumed_run_forgets_the_lines_of_steps_that_it_takes_again(tmp_path):
    for step in (1, 2, 3):
        log = logged(tmp_path, "[1, 1, 9, 9]", step=step)
    path = tmp_path / "samples.jsonl"
    path.write_text(path.read_text() + '{"step": 4, "rewards": {}')  # cut by a kill
    log.on_train_begin(None, SimpleNamespace(is_world_process_zero=True, global_step=2), None)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]
