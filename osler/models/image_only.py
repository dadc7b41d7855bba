"""Processors of video-capable families, without their video half.

transformers builds Qwen-VL's and SmolVLM's processors only where torchvision is installed, because their video part
needs it. Medical pictures do not, and a machine without a GPU often has no torchvision that fits its torch. Where
torchvision is absent, Osler uses the same processor class less its video part.
"""

from __future__ import annotations

import inspect
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any


def image_only(processor_class: type) -> type:
    """A subclass of a processor class that has no video processor.

    Args:
        processor_class: for instance `Qwen2_5_VLProcessor`.

    Returns:
        The class; it saves and loads under the original's name.
    """

    original = inspect.signature(processor_class.__init__)  # type: ignore[misc]
    kept = {name: parameter for name, parameter in original.parameters.items() if name != "video_processor"}

    class ImageOnly(processor_class):  # type: ignore[misc, valid-type]
        # SmolVLM asks for these two even where there is no video to sample
        video_processor = SimpleNamespace(num_frames=None, fps=None)

        def __init__(self, image_processor: Any = None, tokenizer: Any = None, **kwargs: Any) -> None:
            kwargs.pop("video_processor", None)
            super().__init__(image_processor, tokenizer, None, **kwargs)

        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in processor_class.get_attributes() if name != "video_processor"]  # type: ignore[attr-defined]

        @classmethod
        def from_args_and_dict(cls, args: Any, processor_dict: dict[str, Any], **kwargs: Any) -> Any:
            # the original looks into the byte code of `__init__` for the settings it takes
            unused = kwargs.pop("return_unused_kwargs", False)
            settings = {**processor_dict, **kwargs}
            own = {name: settings[name] for name in kept if name in settings and name not in cls.get_attributes()}
            processor = cls(*args, **own)
            return (processor, {}) if unused else processor

    # and into its signature for those it saves
    ImageOnly.__init__.__signature__ = original.replace(parameters=list(kept.values()))  # type: ignore[attr-defined]
    ImageOnly.__name__ = ImageOnly.__qualname__ = processor_class.__name__
    return ImageOnly


def load_processor(folder: str) -> Any:
    """`AutoProcessor.from_pretrained`, also where a video processor cannot be built for want of torchvision.

    Args:
        folder: model folder or hub name.

    Raises:
        ImportError: when something else than torchvision is missing.
    """
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    if find_spec("torchvision") is None:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        known = PROCESSOR_MAPPING.get(type(config), None)
        if known is not None and "video_processor" in known.get_attributes():
            return image_only(known).from_pretrained(folder, trust_remote_code=False)  # type: ignore[attr-defined]
    return AutoProcessor.from_pretrained(folder, trust_remote_code=False)
