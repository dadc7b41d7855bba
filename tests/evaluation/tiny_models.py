"""Tiny random vision-language models of four families, built from configurations: no hub, no download.

Weights are drawn wide, so that an answer depends on every token of the prompt and on the image; a test that compares
answers would otherwise compare constants.
"""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

VOCABULARY = (
    "is there a an the fracture mass lesion heart lung enlarged normal abnormal in this image what which where side "
    "left right lower upper lobe of yes no axial ct mri x ray chest head plane modality shown seen both none effusion "
    "large small , . ? : user assistant"
)
WORDS = VOCABULARY.split()

CHAT = (
    "{% for m in messages %}{{ m['role'] + ' : ' }}"
    "{% for p in m['content'] %}{% if p['type'] == 'image' %}{{ IMAGE }}{% else %}{{ p['text'] }}{% endif %}"
    "{{ ' ' }}{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'assistant : ' }}{% endif %}"
)


def tokenizer(specials: list[str], named: dict[str, str] | None = None) -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate(["<pad>", "<unk>", "<s>", "</s>", *specials, *dict.fromkeys(WORDS)])}
    fast = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=fast,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=specials,
        **({"model_specific_special_tokens": named} if named else {}),
    )


TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "pad_token_id": 0,
}
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 28,
}


def llava(seed: int = 0) -> tuple[Any, Any]:
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tok = tokenizer(["<image>"])
    size = {"height": 28, "width": 28}
    images = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size=size)
    processor = LlavaProcessor(
        image_processor=images,
        tokenizer=tok,
        patch_size=14,
        num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
        chat_template=CHAT.replace("IMAGE", "'<image>'"),
    )
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(patch_size=14, **VISION),
        text_config=LlamaConfig(vocab_size=len(tok), **TEXT),
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    return widen(LlavaForConditionalGeneration(config), seed), processor


def qwen(seed: int = 0) -> tuple[Any, Any]:
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
    )

    from osler.models.image_only import image_only

    tok = tokenizer(["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"])
    tok.image_token, tok.video_token = "<|image_pad|>", "<|video_pad|>"
    shared = {"patch_size": 14, "merge_size": 2, "size": {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}}
    # without the video part, which needs torchvision
    processor = image_only(Qwen2_5_VLProcessor)(
        image_processor=Qwen2VLImageProcessor(**shared),
        tokenizer=tok,
        chat_template=CHAT.replace("IMAGE", "'<|vision_start|><|image_pad|><|vision_end|>'"),
    )
    config = Qwen2_5_VLConfig(
        text_config={
            **TEXT,
            "vocab_size": len(tok),
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "num_heads": 2,
            "intermediate_size": 64,
            "out_hidden_size": 32,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
        image_token_id=tok.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tok.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tok.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tok.convert_tokens_to_ids("<|vision_end|>"),
    )
    return widen(Qwen2_5_VLForConditionalGeneration(config), seed), processor


def gemma(seed: int = 0) -> tuple[Any, Any]:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3ImageProcessor, Gemma3Processor

    specials = ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    tok = tokenizer(specials, dict(zip(("boi_token", "eoi_token", "image_token"), specials, strict=True)))
    processor = Gemma3Processor(
        image_processor=Gemma3ImageProcessor(size={"height": 28, "width": 28}),
        tokenizer=tok,
        image_seq_length=4,
        chat_template=CHAT.replace("IMAGE", "'<start_of_image>'"),
    )
    config = Gemma3Config(
        text_config={
            **TEXT,
            "vocab_size": len(tok),
            "head_dim": 8,
            "sliding_window": 8,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        vision_config={**VISION, "patch_size": 7},
        mm_tokens_per_image=4,
        tie_word_embeddings=False,
        boi_token_index=tok.boi_token_id,
        eoi_token_index=tok.eoi_token_id,
        image_token_index=tok.image_token_id,
    )
    return widen(Gemma3ForConditionalGeneration(config), seed), processor


def smolvlm(seed: int = 0) -> tuple[Any, Any]:
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
    )

    from osler.models.image_only import image_only

    specials = ["<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>"]
    grid = [f"<row_{r}_col_{c}>" for r in range(1, 5) for c in range(1, 5)]
    tok = tokenizer([*specials, *grid])
    tok.fake_image_token, tok.image_token, tok.global_image_token, tok.end_of_utterance_token = specials
    size = {"size": {"longest_edge": 56}, "max_image_size": {"longest_edge": 28}}
    processor = image_only(SmolVLMProcessor)(
        image_processor=SmolVLMImageProcessor(**size),
        tokenizer=tok,
        image_seq_len=1,
        chat_template=CHAT.replace("IMAGE", "'<image>'"),
    )
    config = SmolVLMConfig(
        text_config={**TEXT, "vocab_size": len(tok), "model_type": "llama"},
        vision_config={**VISION, "patch_size": 7},
        image_token_id=tok.convert_tokens_to_ids("<image>"),
        scale_factor=4,
        tie_word_embeddings=False,
        pad_token_id=0,
    )
    return widen(SmolVLMForConditionalGeneration(config), seed), processor


def widen(model: Any, seed: int) -> Any:
    """Redraw all matrices, wide in the language model, so that prompts and images change the answer."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 or "class_embedding" in name:
                wide = 1.0 if "embed_tokens" in name or "lm_head" in name else 2.0 / parameter[0].numel() ** 0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * wide)
    model.generation_config.eos_token_id = 3
    model.generation_config.pad_token_id = 0
    return model.eval()


FAMILIES = {"llava": llava, "qwen2.5-vl": qwen, "gemma3": gemma, "smolvlm": smolvlm}
