"""How reports name the findings of CheXpert, as regular expressions over lower-case text with single spaces.

Every repetition is bounded, so that searching a text takes time in proportion to its length.
"""

from __future__ import annotations

NO_FINDING = "No Finding"
SUPPORT_DEVICES = "Support Devices"
CARDIOMEGALY = "Cardiomegaly"
ENLARGED = "Enlarged Cardiomediastinum"
OPACITY = "Lung Opacity"

_GAP = r"(?:[\w/%-]+,? ){0,3}"  # up to three words between two parts
_BIG = r"(?:enlarged|enlargement|widened|widening|wide|prominent|prominence|broadened|dilated)"
_HEART = r"(?:heart|cardiac(?: silhouette| size| shadow| contour)?|cardiopericardial silhouette)"
_MEDIASTINUM = r"(?:cardio-?mediastin\w+|mediastin\w+)"
_IS = r"(?:is|are|was|were|appears?|remains?|looks?|continues to be|has been)"

PATTERNS: dict[str, tuple[str, ...]] = {
    ENLARGED: (
        rf"{_MEDIASTINUM} (?:silhouette |contours? |shadow |structures )?(?:{_IS} )?{_GAP}{_BIG}",
        rf"{_BIG} (?:of )?(?:the )?(?:superior |upper )?{_MEDIASTINUM}",
        r"enlarged cardiomediastinum",
    ),
    CARDIOMEGALY: (
        r"cardiomegaly",
        rf"{_HEART} (?:size )?(?:{_IS} )?{_GAP}(?:enlarged|enlargement|large|increased|prominent|borderline)\b",
        rf"(?:enlarged|enlargement of|large|prominent|increased|borderline) (?:the )?(?:size of )?(?:the )?{_HEART}",
        rf"(?:increased|increase in|enlarged|borderline) (?:\w+ )?{_HEART} size",
        r"enlarged cardiac silhouette",
        r"cardiac enlargement",
        r"cardio-?megal\w+",
    ),
    "Lung Lesion": (
        r"(?:lung|pulmonary|pleural-based|lobe|hilar|perihilar|apical|mediastinal|cavitary|spiculated) "
        r"(?:\w+ )?(?:mass|lesion|tumou?r)(?:es|s)?",
        r"\b(?:mass|lesion)(?:es|s)? (?:in|within|of|at|projecting over) (?:the )?(?:\w+ ){0,3}"
        r"(?:lung|lobe|apex|hil\w+)",
        r"\bmass\b(?! effect)",
        r"\bmasses\b",
        r"nodul(?:es?|ar density|ar densities|ar lesions?|ar opacity|ar opacities)\b",
        r"cavitary lesions?",
        r"cavitations?",
        r"lung lesions?",
        r"granuloma(?:s|ta)?\b",
        r"carcinoma",
        r"metastas[ei]s",
        r"neoplasms?",
    ),
    OPACITY: (
        r"opaci\w+",
        r"air-? ?space (?:process|disease)(?:es)?",
        r"infiltrates?\b",
        r"infiltrations?\b",
        r"interstitial (?:lung )?(?:markings?|patterns?|changes?|prominence|thickening|abnormalit\w+|disease|process)",
        r"(?:increased|prominent|coarse\w*) (?:\w+ )?interstiti\w+",
        r"reticula\w+(?: \w+)? (?:markings?|patterns?|densit\w+|changes?)",
        r"parenchymal (?:process|abnormalit\w+|disease)",
        r"ground[- ]glass",
        r"peribronchial (?:thickening|cuffing)",
        r"septal (?:thickening|lines?)",
        r"kerley",
        r"(?:hazy|patchy|increased|airspace|air space|streaky) (?:\w+ )?densit(?:y|ies)",
        r"lung opacity",
    ),
    "Edema": (
        r"(?<!subcutaneous )(?<!tissue )\bo?edema",
        r"(?:vascular|pulmonary|venous|pulmonary vascular) (?:\w+ )?(?:congestion|engorgement)",
        r"congestion",
        r"congestive (?:heart )?failure",
        r"heart failure",
        r"cardiac decompensation",
        r"\bchf\b",
        r"(?:fluid|volume) overload",
        r"cephali[sz]ation",
        r"vascular redistribution",
        r"vascular (?:indistinctness|prominence)",
    ),
    "Consolidation": (r"consolidat\w+",),
    "Pneumonia": (
        r"(?<!post-)pneumonia\b",
        r"pneumonias\b",
        r"pneumonic",
        r"bronchopneumonia",
        r"\bpna\b",
        r"(?<!granulomatous )infection\b",
        r"infectious (?:\w+ )?(?:process|etiolog\w+|infiltrates?|pneumoni\w+|consolidation|disease)",
    ),
    "Atelectasis": (
        r"atelect[ae]\w+",
        r"(?:lung|lobe|lobar|segmental|parenchymal) (?:\w+ )?collapse",
        r"collapsed? (?:of )?(?:the )?(?:\w+ ){0,3}(?:lung|lobe)",
        r"(?:right|left)[- ]sided collapse",
    ),
    "Pneumothorax": (r"(?<!hydro)pneumothora(?:x|ces)", r"hydropneumothora(?:x|ces)", r"\bptx\b"),
    "Pleural Effusion": (
        r"(?<!pericardial )(?<!pericardial or )(?<!joint )effusions?",
        r"hydro(?:pneumo)?thora(?:x|ces)",
        r"h[ae]?emothora(?:x|ces)",
        r"pleural fluid",
        r"fluid in the (?:\w+ )?(?:pleural space|fissures?)",
        r"(?:blunt\w*|obscur\w+) (?:of )?(?:the )?(?:\w+ ){0,2}(?:costophrenic|cp) (?:angles?|sulc\w+|recess\w*)",
        r"(?:costophrenic|cp) (?:angles?|sulc\w+) (?:\w+ ){0,2}blunt\w*",
        r"empyema",
    ),
    "Pleural Other": (
        r"pleural (?:\w+ )?(?:thickening|scar\w*|plaques?|calcifications?|abnormalit\w+|disease|lesions?|reaction)",
        r"(?:apical|biapical) (?:pleural (?:thickening|scarring|capping)|thickening|capping)",
        r"fibrothora\w+",
        r"thickening of the pleura",
        r"calcified pleura\w*",
        r"pleural other",
    ),
    "Fracture": (
        r"fractur(?:e|es|ing)\b(?! of (?:the )?(?:\w+ ){0,6}wires?)(?! (?:\w+ )?wires?)",
        r"fractured\b(?! (?:\w+ ){0,2}wires?)",
    ),
    SUPPORT_DEVICES: (
        r"(?:endotracheal|tracheal|tracheostomy|nasogastric|orogastric|enteric|feeding|dobb?hoff|ng|og|et|chest|pleural|"
        r"drainage|pigtail|gastric|gastrostomy|intestinal|nasoenteric|nasoduodenal|intercostal|ett|thoracostomy) "
        r"(?:\w+ )?(?:tubes?|catheters?|drains?)\b",
        r"\bett\b",
        r"\bngt\b",
        r"\bogt\b",
        r"dobb?-?hoff",
        r"tracheostomy",
        r"catheters?\b",
        r"\bpicc\b",
        r"port-?a-?cath",
        r"\bmediport\b",
        r"\b(?:central|venous|subclavian|jugular|ij|picc|dialysis) (?:\w+ )?lines?\b",
        r"swan-?ganz",
        r"pacemakers?",
        r"pace[r]? (?:leads?|wires?)",
        r"pacer\b",
        r"pacing (?:leads?|wires?|device)",
        r"\baicd\b",
        r"\bicd\b",
        r"defibrillator",
        r"sternotomy wires?",
        r"sternal wires?",
        r"\bwires\b",
        r"(?:valve|aortic|mitral|prosthe\w+) (?:\w+ )?(?:prosthes[ei]s|replacement)",
        r"(?:prosthetic|artificial|replaced) (?:\w+ )?valve",
        r"\bhardware\b",
        r"\bstents?\b",
        r"balloon pump",
        r"\biabp\b",
        r"\bstimulator\b",
        r"support(?:ing)? (?:and monitoring )?(?:devices?|apparatus)",
        r"monitoring (?:and support )?devices?",
        r"lines? and tubes?",
        r"tubes? and lines?",
        r"\bdrains?\b",
        r"\bleads?\b(?! to)",
        r"intubated",
    ),
}

FINDINGS: tuple[str, ...] = (NO_FINDING, *PATTERNS)
"""The fourteen names, "No Finding" first."""

FIVE: tuple[str, ...] = ("Atelectasis", CARDIOMEGALY, "Consolidation", "Edema", "Pleural Effusion")
"""The five of CheXpert's competition, which papers report beside all fourteen."""

_FINE = (
    r"(?:normal|unremarkable|within normal limits|not enlarged|stable|within limits of normal|top[- ]normal|"
    r"not widened)"
)
NORMAL: dict[str, tuple[str, ...]] = {
    # statements that deny a finding without naming it
    CARDIOMEGALY: (
        rf"(?:heart|cardiac)(?: size| silhouette| shadow| contour)?(?: and [\w ]{{3,40}}?)? (?:{_IS} )?{_FINE}",
        rf"(?:heart|cardiac) (?:size )?and mediastin\w+ [\w ]{{0,30}}?{_IS} {_FINE}",
        r"normal (?:heart|cardiac)(?: size| silhouette| contour)?",
        rf"cardio-?mediastinal (?:silhouette|contours?)(?: and [\w ]{{3,40}}?)? (?:{_IS} )?{_FINE}",
        r"normal cardio-?mediastinal",
    ),
    ENLARGED: (
        rf"{_MEDIASTINUM} (?:silhouette|contours?|shadow|structures)?(?: and [\w ]{{3,40}}?)? ?(?:{_IS} )?{_FINE}",
        rf"normal (?:\w+ )?{_MEDIASTINUM}",
    ),
    OPACITY: (
        r"lungs? (?:fields? )?(?:are|is|appear|remain)s? (?:\w+ ){0,2}clear",
        r"clear lungs?",
        r"both lungs are clear",
    ),
}
NOTHING_WRONG = (
    r"no (?:acute |active |significant )?(?:radiographic )?(?:cardio-?pulmonary|intrathoracic|cardiothoracic|pulmonary|"
    r"chest|cardiac) (?:\w+ )?(?:process|abnormalit\w+|disease|findings?|pathology)",
    r"no (?:acute |significant )?(?:abnormalit(?:y|ies)|findings?|disease|process|pathology)\b",
    r"normal (?:chest|study|examination|exam|radiograph|x-?ray|film)",
    r"(?:chest|study|examination|radiograph|x-?ray) (?:is |was |appears )?(?:\w+ )?(?:normal|unremarkable)",
    r"unremarkable (?:chest|study|examination|radiograph|x-?ray)",
)
"""Statements that nothing is wrong."""
