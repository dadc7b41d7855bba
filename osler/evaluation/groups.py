"""Groups of items that scores are given by: modality, organ, and, where the data has them, sex and age band.

They are read from the tags of the records, under the names that data sets use for them. A group with fewer than
`SMALL` different images is flagged: its interval is too narrow and its mean mostly luck.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SMALL = 20
"""Clusters below which a group is flagged."""
NAMES: dict[str, tuple[str, ...]] = {
    "modality": ("modality", "modality_type", "imaging_modality"),
    "organ": ("organ", "body_part", "body_part_examined", "anatomy", "location"),
    "sex": ("sex", "patient_sex", "gender"),
    "age band": ("age_band", "age_group", "age", "patient_age"),
}
"""Group -> tags that may hold it; the first that a record has counts."""
_BANDS = ((18, "under 18"), (40, "18-39"), (65, "40-64"), (80, "65-79"))
_SEXES = {"m": "male", "male": "male", "f": "female", "female": "female", "o": "other", "other": "other"}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([dwmy]?)(?:ears?|r)?", re.IGNORECASE)
_YEARS = {"d": 1 / 365.25, "w": 7 / 365.25, "m": 1 / 12, "y": 1.0, "": 1.0}


def age_band(text: str) -> str:
    """Band of an age in years or in DICOM's form (PS3.5 6.2, value representation AS); another text stays as it is.

    Example:
        >>> age_band("045Y"), age_band("70"), age_band("006M"), age_band("65-79")
        ('40-64', '65-79', 'under 18', '65-79')
    """
    found = _AGE.fullmatch(text.strip())
    if found is None:
        return text.strip()
    years = float(found[1]) * _YEARS[found[2].lower()]
    return next((name for end, name in _BANDS if years < end), "80 and over")


def groups_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Groups that a record's tags put it into; only those that they tell.

    Args:
        tags: of the record.
    """
    found: dict[str, str] = {}
    for group, names in NAMES.items():
        text = next((tags[name].strip() for name in names if tags.get(name, "").strip()), "")
        if text:
            sex = _SEXES.get(text.lower(), text) if group == "sex" else text
            found[group] = age_band(text) if group == "age band" else sex
    return found
