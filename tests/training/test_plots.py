from PIL import Image

from osler.training.plots import plot_loss, reward_curves

PLAIN = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0, "eval_loss": 1.5}]
REWARDED = [
    {"step": 1, "loss": 0.0, "rewards/localisation/raw/mean": 0.25, "rewards/localisation/used/mean": 0.9},
    {"step": 2, "loss": -0.1, "rewards/localisation/raw/mean": 0.5, "rewards/judge/raw/mean": None},
]


def test_the_mean_of_each_reward_before_normalisation():
    assert reward_curves(REWARDED) == {"localisation": [(1, 0.25), (2, 0.5)]}
    assert reward_curves(PLAIN) == {}


def test_a_stage_with_rewards_has_a_second_panel(tmp_path):
    widths = []
    for number, histories in enumerate(({"a": PLAIN}, {"a": PLAIN, "b": PLAIN}, {"a": PLAIN, "b": REWARDED})):
        plot_loss(histories, tmp_path / f"{number}.png")
        with Image.open(tmp_path / f"{number}.png") as image:
            widths.append(image.width)
    assert widths[2] - widths[1] == widths[1] - widths[0] > 400
    plot_loss({"empty": []}, tmp_path / "empty.png")
