"""Closed lists of DICOM terms: the only texts of a header that may leave it, and rules built on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osler.images.dicom_header import DicomHeader, functional_group, numbers, text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def _words(terms: str) -> frozenset[str]:
    return frozenset(terms.split())


# PS3.3 C.7.3.1.1.1, with retired terms that archives still hold
_MODALITIES = _words(
    """ANN AR ASMT AU BDUS BI BMD CF CFM CP CR CS CT CTPROTOCOL DD DF DG DM DMS DOC DS DSA DX EC ECG EEG EMG EOG EPS ES
    FA FID FS GM HC HD IO IOL IVOCT IVUS KER KO LEN LP LS M3D MA MG MR MS NM OAM OCT OP OPM OPR OPT OPTBSV OPTENF OPV
    OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG
    SM SMR SR SRF ST STAIN TEXTUREMAP TG US VA VF XA XAPROTOCOL XC"""
)
# PS3.16 Annex L, terms of BodyPartExamined
_BODY_PARTS = _words(
    """ABDOMEN ABDOMENPELVIS ACJOINT ADRENAL ANKLE ANUS AORTA ARM ARTERY ATRIUM AXILLA BACK BILEDUCT BLADDER BRAIN
    BREAST BRONCHUS BUTTOCK CALCANEUS CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWIL
    CLAVICLE COCCYX COLON CORNEA CORONARYARTERY CSPINE CTSPINE DUODENUM EAR ELBOW ESOPHAGUS EXTREMITY EYE EYELID FACE
    FEMUR FINGER FOOT FOREARM GALLBLADDER HAND HEAD HEADNECK HEART HIP HUMERUS IAC ILEUM ILIUM JAW JEJUNUM KIDNEY KNEE
    LARYNX LEG LIVER LSPINE LSSPINE LUNG MANDIBLE MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN
    NECKCHESTABDPELV NOSE ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHARYNX PROSTATE RECTUM RIB SCALP SCAPULA
    SCLERA SCROTUM SHOULDER SIJOINT SINUS SKULL SPINE SPLEEN SSPINE STERNUM STOMACH SUBMANDIBULAR TESTIS THIGH THUMB
    THYMUS THYROID TLSPINE TMJ TOE TONGUE TRACHEA TSPINE UMBILICUS URETER URETHRA UTERUS VAGINA VERTEBRA VULVA WHOLEBODY
    WRIST ZYGOMA"""
)
# PS3.3 C.8.1.x, C.8.7.x and CID 4014 (mammography) view positions
_VIEWS = _words(
    """AP PA LL RL RLD LLD RLO LLO LAT LATERAL LPO RPO LAO RAO OBL CC MLO ML LM LMO XCC XCCL XCCM FB SIO ISO CV SUP INF
    TAN AT RM RL RI RS ID XL"""
)
_PHOTOMETRICS = _words(
    """MONOCHROME1 MONOCHROME2 RGB YBR_FULL YBR_FULL_422 YBR_PARTIAL_422 YBR_PARTIAL_420 YBR_ICT YBR_RCT ARGB CMYK HSV
    XYB"""
) | {"PALETTE COLOR"}
# objects whose pixels are no picture: what they are, and what to do
NOT_PICTURES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a Segmentation object: its pixels are masks; name the image it belongs to",
    "1.2.840.10008.5.1.4.1.1.66.7": "a Label Map Segmentation object: its pixels are labels; name the image",
    "1.2.840.10008.5.1.4.1.1.481.2": "an RT Dose object: its pixels are absorbed dose; name the CT it was planned on",
}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # also the stem of its multi-frame classes
_ULTRASOUND = ("US", "IVUS")


def known(value: str, terms: frozenset[str]) -> str | None:
    """The value if it is a term, else None."""
    return value if value in terms else None


def modality(ds: Dataset) -> str | None:
    """Modality as defined term."""
    return known(text(ds, "Modality"), _MODALITIES)


def photometric(ds: Dataset) -> str | None:
    """Photometric interpretation as defined term."""
    return known(text(ds, "PhotometricInterpretation"), _PHOTOMETRICS)


def uid_name(uid: str, unknown: str) -> str:
    """Name of a UID of the standard; `unknown` for others, because a private UID can identify a site."""
    from pydicom.uid import UID_dictionary

    return UID_dictionary[uid][0] if uid in UID_dictionary else unknown


def burned_in(ds: Dataset) -> tuple[bool | None, str | None]:
    """Whether text is burned into the pixels, and how that is known.

    The element BurnedInAnnotation decides where it is YES or NO. Without it, ultrasound and secondary captures count
    as burned in: ultrasound machines draw name, date and settings into the picture, and a secondary capture is a
    screen. Everything else is unknown.
    """
    tag = text(ds, "BurnedInAnnotation")
    if tag in ("YES", "NO"):
        return tag == "YES", "tag"
    sop_class = str(ds.get("SOPClassUID") or "")
    secondary = sop_class == _SECONDARY_CAPTURE or sop_class.startswith(_SECONDARY_CAPTURE + ".")
    if text(ds, "Modality") in _ULTRASOUND or secondary or "ultrasound" in uid_name(sop_class, "").lower():
        return True, "rule"
    return None, None


def facts(header: DicomHeader, frame: int) -> dict[str, Any]:
    """The DICOM part of an `ImageInfo`, as keyword arguments."""
    ds = header.dataset
    flag, basis = burned_in(ds)
    anatomy = functional_group(ds, frame, "FrameAnatomySequence")
    laterality = text(ds, "ImageLaterality") or text(ds, "Laterality")
    if not laterality and anatomy is not None:
        laterality = text(anatomy, "FrameLaterality")
    measures = functional_group(ds, frame, "PixelMeasuresSequence")
    spacing: list[float] = numbers(measures, "PixelSpacing") if measures is not None else []
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = spacing or numbers(ds, keyword)
    return {
        "modality": modality(ds),
        "body_part": known(text(ds, "BodyPartExamined"), _BODY_PARTS),
        "laterality": known(laterality, frozenset("LRBU")),
        "view": known(text(ds, "ViewPosition"), _VIEWS),
        "photometric": photometric(ds),
        "transfer_syntax": uid_name(header.transfer_syntax, "unknown"),
        "burned_in": flag,
        "burned_in_basis": basis,
        "pixel_spacing": (spacing[0], spacing[1]) if len(spacing) == 2 and min(spacing) > 0 else None,
    }
