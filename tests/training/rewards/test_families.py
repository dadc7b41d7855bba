"""Vision relevance on other families than LLaVA: against full attention maps, or a refusal that says why."""

import pytest
import torch
from PIL import Image

from osler.errors import ModelError
from osler.models.language import image_positions
from osler.models.prompt_inputs import joined_inputs
from osler.training.rewards.relevance import VisionRelevance
from osler.word_spans import find_names, token_spans, tokens_of
from tests.evaluation.tiny_models import FAMILIES


def value_of(model, processor, text, size, box, picture):
    prompt = [
        {"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": "what is this"}]}
    ]
    ids = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    reward = VisionRelevance(model, processor)
    (value,) = reward(
        [prompt], [text], completion_ids=[ids], boxes=[[box]], size=[size], category=["yes"], images=[[picture]]
    )
    return value, prompt, ids


@pytest.mark.parametrize("family", ["llava", "qwen2.5-vl", "gemma3"])
def test_the_reward_is_that_of_full_maps(family):
    model, processor = FAMILIES[family]()
    width, height = 56, 56
    text, picture = "is yes", Image.effect_noise((width, height), 80).convert("RGB")
    value, prompt, ids = value_of(model, processor, text, (width, height), (0, 0, width, height / 2), picture)
    inputs, starts = joined_inputs(processor, [prompt], [ids])
    model.set_attn_implementation("eager")
    with torch.no_grad():
        maps = torch.stack(model(**inputs, output_attentions=True, use_cache=False).attentions)[:, 0]
    spans = token_spans(ids, lambda part: processor.tokenizer.decode(part, skip_special_tokens=True))
    rows = [starts[0] + index for index in tokens_of(find_names(text, ["yes"]), spans)]
    places = image_positions(model, inputs["input_ids"])[0].nonzero()[:, 0]
    upper = places[: len(places) // 2]  # the upper half of the picture is the first half of the tokens
    layers = len(maps)
    third = range(layers // 3, max(layers // 3 + 1, layers - layers // 3))
    expected = float(maps[list(third)][:, :, rows][..., upper].sum(-1).mean())
    assert rows
    assert value == pytest.approx(expected, abs=1e-5)
    assert 0 < value < 1


def test_pictures_in_tiles_are_refused():
    model, processor = FAMILIES["smolvlm"]()
    processor.image_processor.do_image_splitting = True
    with pytest.raises(ModelError, match="tiles"):
        value_of(model, processor, "is yes", (56, 56), (0, 0, 56, 28), Image.new("RGB", (56, 56), "red"))
