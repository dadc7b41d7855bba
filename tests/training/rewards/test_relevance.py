import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from osler.errors import ModelError
from osler.training.rewards.relevance import RelevanceSettings, VisionRelevance, attention_mass
from osler.word_spans import find_names, token_spans, tokens_of
from tests import tiny

# two class tokens over the keys BOS, four patches, one word
GOLDEN = torch.tensor([[0.30, 0.10, 0.20, 0.15, 0.05, 0.20], [0.50, 0.05, 0.10, 0.05, 0.10, 0.20]])
PATCHES, REGION = torch.arange(1, 5), torch.tensor([2, 3])


def literal(attention, region):
    """The formula as the paper is described to write it: numerator and denominator both over the region."""
    inside = attention[..., region].exp()
    return float((inside / inside.sum(-1, keepdim=True)).sum())


def test_golden_rows():
    assert attention_mass(GOLDEN[None], PATCHES, REGION).tolist() == pytest.approx([0.25])
    each = [float(attention_mass(GOLDEN[None, [row]], PATCHES, REGION)) for row in (0, 1)]
    assert each == pytest.approx([0.35, 0.15])
    image = [float(attention_mass(GOLDEN[None, [row]], PATCHES, REGION, denominator="image")) for row in (0, 1)]
    assert image == pytest.approx([0.70, 0.50])
    assert attention_mass(GOLDEN[None], PATCHES, REGION, denominator="image").tolist() == pytest.approx([0.60])


def test_the_literal_formula_is_constant_and_not_used():
    torch.manual_seed(0)
    for _ in range(20):
        attention = torch.rand(2, 6).softmax(-1)
        assert literal(attention, REGION) == pytest.approx(2), "the number of class tokens, whatever they look at"
        assert float(attention_mass(attention[None], PATCHES, REGION)) < 1


def test_uniform_attention_gives_the_regions_share():
    uniform = torch.full((3, 2, 12), 1 / 12)
    region = torch.arange(2, 7)
    assert attention_mass(uniform, torch.arange(1, 10), region).tolist() == pytest.approx([5 / 12] * 3)
    assert attention_mass(uniform, torch.arange(1, 10), region, denominator="image").tolist() == pytest.approx(
        [5 / 9] * 3
    )


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 8))
def test_bounds_and_growth_with_the_region(seed, rows, size):
    generator = torch.Generator().manual_seed(seed)
    attention = torch.randn(2, rows, 12, generator=generator).mul(3).softmax(-1)
    image = torch.arange(2, 10)
    part, whole = (attention_mass(attention, image, image[:count]) for count in (size - 1, size))
    assert ((part >= 0) & (part <= whole + 1e-6) & (whole <= 1)).all()
    share = attention_mass(attention, image, image[:size], denominator="image")
    assert ((share >= whole - 1e-6) & (share <= 1)).all()


@settings(deadline=None, max_examples=30)
@given(st.text(alphabet="abé cyst☃\n", max_size=30))
def test_token_spans_tile_the_text(text):
    tokenizer = tiny.tokenizer()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]

    def decode(part):
        return tokenizer.decode(part, skip_special_tokens=True)

    spans = token_spans(ids, decode)
    assert len(spans) == len(ids)
    assert all(start <= end for start, end in spans)
    if ids:
        assert spans[-1][1] == len(decode(ids))
    for begin, stop in find_names(decode(ids), ["cyst"]):
        tokens = tokens_of([(begin, stop)], spans)
        assert "cyst" in decode([ids[index] for index in tokens]).lower()


@pytest.fixture(scope="module")
def loaded():
    return tiny.model("clip")


def ask(loaded, texts, *, boxes=((0, 0, 20, 30),), size=(40, 30), category="red", chosen=None, image=None):
    """Relevance of texts for a picture of `size` whose left half is the region."""
    tokenizer = loaded.processor.tokenizer
    picture = image or Image.new("RGB", size, "red")
    count = len(texts)
    prompt = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what is this"}]}]
    reward = VisionRelevance(loaded.model, loaded.processor, chosen)
    values = reward(
        [prompt] * count,
        [[{"role": "assistant", "content": text}] for text in texts],
        completion_ids=[tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts],
        boxes=[list(boxes)] * count,
        size=[size] * count,
        category=[category] * count,
        images=[[picture]] * count,
    )
    return values, reward


def test_a_model_that_looks_everywhere_alike(loaded):
    """With zero queries attention is uniform over the permitted keys: the reward is |R| / keys."""
    flat = tiny.model("clip")
    with torch.no_grad():
        for layer in flat.model.model.language_model.layers:
            layer.self_attn.q_proj.weight.zero_()
    (value,), reward = ask(flat, ["it is red"])
    tokenizer = flat.processor.tokenizer
    prompt = flat.processor.apply_chat_template(
        [[{"role": "user", "content": [{"type": "image", "image": Image.new("RGB", (40, 30))},
                                       {"type": "text", "text": "what is this"}]}]],
        add_generation_prompt=True, tokenize=True, return_dict=True,
    )["input_ids"][0]  # fmt: skip
    ids = tokenizer("it is red", add_special_tokens=False)["input_ids"]
    named = [i for i in range(len(ids)) if "red" in tokenizer.decode(ids[: i + 1]) and i >= len(ids) - 3]
    rows = [i for i in named if len(tokenizer.decode(ids[: i + 1])) > len("it is ")]
    # 40 x 30 padded to 40 x 40 and cut into 4 x 4: the box (0, 0, 20, 30) holds 2 columns x 4 rows less the border
    expected = sum(8 / (len(prompt) + row + 1) for row in rows) / len(rows)
    assert value == pytest.approx(expected, rel=0.3)
    assert set(reward.by_layer) == {0, 1}


def test_against_eager_maps(loaded):
    """The whole way, on every head and layer, against full attention maps."""
    from osler.models.language import image_positions
    from osler.models.prompt_inputs import joined_inputs

    text, picture = "it is red", Image.new("RGB", (32, 32), "red")
    (value,), _ = ask(loaded, [text], boxes=((0, 0, 16, 32),), size=(32, 32), image=picture)
    prompt = [
        {"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": "what is this"}]}
    ]
    ids = loaded.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    inputs, starts = joined_inputs(loaded.processor, [prompt], [ids])
    loaded.model.set_attn_implementation("eager")
    with torch.no_grad():
        maps = torch.stack(loaded.model(**inputs, output_attentions=True).attentions)[:, 0]
    loaded.model.set_attn_implementation("sdpa")
    spans = token_spans(ids, lambda part: loaded.processor.tokenizer.decode(part))
    rows = [starts[0] + index for index in tokens_of(find_names(text, ["red"]), spans)]
    places = image_positions(loaded.model, inputs["input_ids"])[0].nonzero()[:, 0]
    region = places[[row * 4 + column for row in range(4) for column in (0, 1)]]
    assert value == pytest.approx(float(maps[:, :, rows][..., region].sum(-1).mean()), abs=1e-5)


def test_company_and_padding_do_not_matter(loaded):
    texts = ["it is red", "no", "red red and a lot of other words behind it", "blue"]
    together, _ = ask(loaded, texts)
    alone = [ask(loaded, [text])[0][0] for text in texts]
    assert together == pytest.approx(alone, abs=1e-5)
    small, _ = ask(loaded, texts, chosen=RelevanceSettings(batch_size=1))
    assert small == pytest.approx(alone, abs=1e-6)


def test_the_stored_size_does_not_matter(loaded):
    """The same picture stored twice as large, with its box: the encoder sees the same."""
    small, _ = ask(loaded, ["it is red"], size=(40, 30))
    large, _ = ask(loaded, ["it is red"], size=(80, 60), boxes=((0, 0, 40, 60),))
    assert small == pytest.approx(large, abs=1e-4)


def test_none_zero_and_bounds(loaded):
    assert ask(loaded, ["it is blue"])[0] == [0.0], "no true class is named"
    assert ask(loaded, ["it is red"], boxes=())[0] == [None], "no region"
    (value,), _ = ask(loaded, ["red"], category=["green", "red"])
    assert 0 < value < 1
    assert ask(loaded, ["red"], chosen=RelevanceSettings(shifted=True, layers=(1,), heads=(0,)))[0][0] != value


def test_what_a_crop_cut_off_is_left_out_whatever_is_said(loaded):
    """Completions of one group are all scored or all left out: 0 for some would reward not naming the class."""
    from osler.models import LoadedModel

    cropping = copy.deepcopy(loaded.processor)
    cropping.image_processor.do_pad, cropping.image_processor.do_center_crop = False, True
    cropping.image_processor.size = {"shortest_edge": 32}
    cropping.image_processor.crop_size = {"height": 32, "width": 32}
    cropped = LoadedModel(loaded.model, cropping)
    assert ask(cropped, ["it is red", "no"], size=(80, 40), boxes=((0, 0, 10, 40),))[0] == [None, None]
    value, other = ask(cropped, ["it is red", "no"], size=(80, 40), boxes=((0, 0, 10, 40), (30, 0, 50, 40)))[0]
    assert value > 0 == other


def test_a_class_inside_a_longer_one_is_not_named(loaded):
    reward = VisionRelevance(loaded.model, loaded.processor, classes=("viral pneumonia", "pneumonia"))
    assert reward.named("a viral pneumonia", ("pneumonia",)) == []
    assert reward.named("a viral pneumonia, Pneumonia", ("pneumonia",)) == [(19, 28)]


def test_repeating_the_class_gains_nothing_by_itself(loaded):
    (once,), (thrice,) = (ask(loaded, [text])[0] for text in ("it is red", "it is red red red"))
    assert thrice < 2 * once


def test_one_picture_a_completion(loaded):
    reward = VisionRelevance(loaded.model, loaded.processor)
    with pytest.raises(ModelError, match="one picture a completion"):
        reward([None], ["red"], completion_ids=[[1]], boxes=[[]], size=[(1, 1)], category=["red"])
