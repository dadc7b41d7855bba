from __future__ import annotations

import pytest

from osler.evaluation.groups import groups_of


@pytest.mark.parametrize(
    ("tags", "groups"),
    [
        ({"organ": "CHEST", "question_type": "PRES"}, {"organ": "CHEST"}),
        ({"modality_type": "CT", "location": "Lung"}, {"modality": "CT", "organ": "Lung"}),
        ({"modality": "MR", "modality_type": "CT"}, {"modality": "MR"}),
        ({"sex": "F", "age": "045Y"}, {"sex": "female", "age band": "40-64"}),
        ({"gender": "Male", "patient_age": "17.9"}, {"sex": "male", "age band": "under 18"}),
        ({"age": "006M"}, {"age band": "under 18"}),
        ({"age": "065Y"}, {"age band": "65-79"}),
        ({"age": "80"}, {"age band": "80 and over"}),
        ({"age": "18"}, {"age band": "18-39"}),
        ({"age_band": "65-79", "age": "3"}, {"age band": "65-79"}),
        ({"sex": " ", "age": "unknown"}, {"age band": "unknown"}),
        ({}, {}),
    ],
)
def test_groups(tags, groups):
    assert groups_of(tags) == groups
