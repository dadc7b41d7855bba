"""The DICOM display pipeline on synthetic objects whose pixels are known, and hostile headers."""

from __future__ import annotations

import logging
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from osler.errors import ImageError
from osler.images import Window, image_size, load_image
from tests.images.dicom_maker import make_dicom

RAMP = np.arange(-1024, 1024, dtype=np.int16).reshape(32, 64)


def grey(loaded):
    array = np.asarray(loaded.image)
    assert (array[..., 0] == array[..., 1]).all()
    return array[..., 0].astype(int)


def item(**elements):
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def test_rescale_then_window_of_the_file_then_callers_wins(tmp_path):
    path = make_dicom(
        tmp_path / "a", RAMP, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=[40, 9], WindowWidth=[400, 9]
    )
    values = RAMP * 2.0 - 100
    loaded = load_image(path)
    assert np.array_equal(grey(loaded), Window(40, 400).apply(values))
    assert loaded.info.window == {"level": 40.0, "width": 400.0, "function": "linear", "source": "file"}
    lung = load_image(path, window="lung")
    assert np.array_equal(grey(lung), Window(-600, 1500).apply(values))
    assert lung.info.window["preset"] == "lung"
    assert lung.info.as_provenance()["window_level"] == -600
    assert image_size(path) == (64, 32)


@pytest.mark.parametrize("function", ["SIGMOID", "LINEAR_EXACT", "LINEAR"])
def test_voi_functions(tmp_path, function):
    path = make_dicom(tmp_path / "a", RAMP, WindowCenter=0, WindowWidth=500, VOILUTFunction=function)
    assert np.array_equal(grey(load_image(path)), Window(0, 500, function.lower()).apply(RAMP))


def test_monochrome1_is_inverted(tmp_path):
    plain = make_dicom(tmp_path / "a", RAMP, WindowCenter=0, WindowWidth=500)
    inverted = make_dicom(
        tmp_path / "b", RAMP, WindowCenter=0, WindowWidth=500, PhotometricInterpretation="MONOCHROME1"
    )
    assert np.array_equal(grey(load_image(inverted)), 255 - grey(load_image(plain)))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_outside_the_percentiles(tmp_path, photometric):
    pixels = RAMP.copy()
    pixels[:8] = -2000
    path = make_dicom(tmp_path / "a", pixels, PhotometricInterpretation=photometric)
    ds = pydicom.dcmread(path)
    ds.add_new(0x00280120, "US", 65536 - 2000)  # written as unsigned although the pixels are signed
    ds.save_as(path)
    loaded = load_image(path)
    assert (grey(loaded)[:8] == 0).all()
    low, high = np.percentile(pixels[8:], [1, 99], method="inverted_cdf")
    assert loaded.info.window["level"] == pytest.approx((low + high) / 2)


@pytest.mark.parametrize(
    ("elements", "source"),
    [
        ({"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": 0}, "default"),
        ({"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "US"}, "percentile"),
        (
            {
                "Modality": "CT",
                "RescaleSlope": 1,
                "RescaleIntercept": 0,
                "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"],
            },
            "percentile",
        ),
        ({"Modality": "CT"}, "percentile"),
        ({"Modality": "MR", "RescaleSlope": 1, "RescaleIntercept": 0}, "percentile"),
        ({"Modality": "MR", "WindowCenter": 40, "WindowWidth": 0}, "percentile"),
        ({"Modality": "MR", "WindowCenter": [40, 50], "WindowWidth": [0, 60]}, "file"),
    ],
)
def test_which_window_without_the_caller(tmp_path, elements, source):
    loaded = load_image(make_dicom(tmp_path / "a", RAMP, **elements))
    assert loaded.info.window["source"] == source


def test_tables(tmp_path):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    table = [(255 - n) * 257 for n in range(256)]
    voi = item(LUTDescriptor=[256, 0, 16], LUTData=table)
    voi["LUTData"].VR = "US"
    path = make_dicom(tmp_path / "a", pixels, VOILUTSequence=Sequence([voi]), WindowCenter=1, WindowWidth=2)
    loaded = load_image(path)
    assert loaded.info.window == {"source": "voi-lut"}
    assert np.array_equal(grey(loaded), 255 - pixels.astype(int))
    # first mapped value, and the ends of the table for values outside it
    short = item(LUTDescriptor=[4, 100, 8], LUTData=[10, 20, 30, 40], ModalityLUTType="US")
    short["LUTData"].VR = "US"
    path = make_dicom(
        tmp_path / "b",
        pixels,
        ModalityLUTSequence=Sequence([short]),
        WindowCenter=127.5,
        WindowWidth=255,
        VOILUTFunction="LINEAR_EXACT",
    )
    found = grey(load_image(path)).ravel()
    assert found[[0, 100, 101, 103, 200]].tolist() == [10, 10, 20, 40, 40]


def test_tables_agree_with_pydicom(pydicom_data):
    from pydicom.pixels import apply_modality_lut, apply_voi

    ds = pydicom.dcmread(pydicom_data / "mlut_18.dcm")
    values = apply_modality_lut(ds.pixel_array, ds)
    assert np.array_equal(
        grey(load_image(pydicom_data / "mlut_18.dcm", window="20000/30000")), Window(20000, 30000).apply(values)
    )
    ds = pydicom.dcmread(pydicom_data / "vlut_04.dcm")
    wanted = np.rint(apply_voi(ds.pixel_array, ds) / 65535 * 255)
    assert np.array_equal(grey(load_image(pydicom_data / "vlut_04.dcm")), wanted)


def test_frames_have_their_own_rescale_and_window(tmp_path):
    pixels = np.stack([RAMP, RAMP, RAMP])
    shared = item(
        FrameVOILUTSequence=Sequence([item(WindowCenter=0, WindowWidth=1000)]),
        PixelMeasuresSequence=Sequence([item(PixelSpacing=[0.5, 0.25])]),
    )
    per_frame = [
        item(
            PixelValueTransformationSequence=Sequence([item(RescaleSlope=n + 1, RescaleIntercept=0, RescaleType="HU")])
        )
        for n in range(3)
    ]
    per_frame[2].FrameVOILUTSequence = Sequence([item(WindowCenter=50, WindowWidth=300)])
    path = make_dicom(
        tmp_path / "a", pixels,
        SharedFunctionalGroupsSequence=Sequence([shared]), PerFrameFunctionalGroupsSequence=Sequence(per_frame),
    )  # fmt: skip
    for n, window in enumerate((Window(0, 1000), Window(0, 1000), Window(50, 300))):
        loaded = load_image(path, frame=n)
        assert np.array_equal(grey(loaded), window.apply(RAMP * float(n + 1)))
        assert (loaded.info.frame, loaded.info.frames, loaded.info.pixel_spacing) == (n, 3, (0.5, 0.25))
    with pytest.raises(ImageError, match="no frame 3: it holds 3"):
        load_image(path, frame=3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int8, np.uint16, np.uint32, np.int32])
def test_sample_types(tmp_path, dtype):
    pixels = (np.arange(100).reshape(10, 10) + (0 if np.dtype(dtype).kind == "u" else -50)).astype(dtype)
    path = make_dicom(tmp_path / "a", pixels)
    low, high = np.percentile(pixels.astype(float), [1, 99], method="inverted_cdf")
    wanted = np.clip((pixels.astype(float) - low) / (high - low), 0, 1) * 255
    assert np.abs(grey(load_image(path)) - wanted).max() <= 0.5 + 1e-6


def test_only_the_frame_asked_for_is_read(tmp_path, monkeypatch):
    import pydicom.pixels.decoders.base as base

    path = make_dicom(tmp_path / "a", np.zeros((200, 64, 64), np.uint16), WindowCenter=1, WindowWidth=2)
    lengths = []
    original = base.DecodeRunner.get_data
    monkeypatch.setattr(base.DecodeRunner, "get_data", lambda s, f, o, n: lengths.append(n) or original(s, f, o, n))
    load_image(path, frame=199)
    assert lengths == [64 * 64 * 2]


def test_without_preamble(tmp_path):
    path = make_dicom(tmp_path / "a", RAMP, WindowCenter=0, WindowWidth=500)
    wanted = load_image(path).image.tobytes()
    ds = pydicom.dcmread(path)
    for implicit in (True, False):
        ds.preamble = None
        ds.file_meta = FileMetaDataset()
        ds.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
        assert path.read_bytes()[128:132] != b"DICM"
        assert load_image(path).image.tobytes() == wanted


def test_colour_refuses_a_window(pydicom_files):
    with pytest.raises(ImageError, match="grey values; leave it out"):
        load_image(pydicom_files / "SC_rgb_rle.dcm", window="lung")


# -------------------------------------------------------------------------------------------------- privacy


SECRET = "ZZTOPSECRET"


def identified(tmp_path, name="a", **elements):
    values = {
        "PatientName": f"{SECRET}^Jane", "PatientID": SECRET, "PatientBirthDate": "19700101",
        "StudyDescription": SECRET,
        "InstitutionName": SECRET, "AccessionNumber": SECRET, "OperatorsName": SECRET, "BodyPartExamined": SECRET,
        "ViewPosition": SECRET, "ProtocolName": SECRET, "ImageComments": SECRET, "Modality": SECRET,
    }  # fmt: skip
    return make_dicom(tmp_path / name, RAMP, **(values | elements))


def test_identifiers_never_leave_the_file(tmp_path):
    loaded = load_image(identified(tmp_path))
    assert SECRET not in repr(loaded.info) + repr(loaded.info.as_provenance())
    assert loaded.info.modality is None
    assert loaded.info.body_part is None


@pytest.mark.parametrize(
    "elements",
    [
        {"Rows": None}, {"PhotometricInterpretation": SECRET}, {"BitsStored": 40},
        {"SamplesPerPixel": 2}, {"PixelData": None}, {"PixelData": b"\0\0"}, {"NumberOfFrames": 9999},
        {"VOILUTSequence": Sequence([item(LUTDescriptor=[9, 0, 16], LUTExplanation=SECRET, LUTData=b"\0\0")])},
    ],
)  # fmt: skip
def test_errors_and_warnings_quote_no_identifier(tmp_path, elements, caplog, recwarn, capfd):
    path = identified(tmp_path, **elements)
    caplog.clear()
    recwarn.clear()
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ImageError) as caught:
        load_image(path)
    out, err = capfd.readouterr()
    told = str(caught.value) + caplog.text + out + err + "".join(str(w.message) for w in recwarn.list)
    assert SECRET not in told
    assert str(caught.value).startswith(str(path))


def test_damaged_values_stay_out_of_logs_and_warnings(tmp_path, caplog, recwarn):

    path = identified(tmp_path, WindowCenter=0, WindowWidth=500)
    data = path.read_bytes().replace(b"ISO_IR", b"ISO_XX")
    data = data.replace(SECRET.encode() + b"^Jane", SECRET.encode() + b"\xff\xfe\xfd^J"[:5])
    path.write_bytes(data)
    caplog.clear()
    recwarn.clear()
    caplog.set_level(logging.DEBUG)
    level = logging.getLogger("pydicom").level
    load_image(path)
    assert not recwarn.list
    assert not caplog.text
    assert logging.getLogger("pydicom").level == level
    assert pydicom.config.settings.reading_validation_mode == pydicom.config.WARN


@pytest.mark.parametrize(
    ("elements", "wanted"),
    [
        ({}, (None, None)),
        ({"BurnedInAnnotation": "YES"}, (True, "tag")),
        ({"BurnedInAnnotation": "NO", "Modality": "US"}, (False, "tag")),
        ({"Modality": "US"}, (True, "rule")),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, (True, "rule")),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.2"}, (True, "rule")),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"}, (True, "rule")),
    ],
)
def test_burned_in_text(tmp_path, elements, wanted):
    info = load_image(make_dicom(tmp_path / "a", RAMP, **elements)).info
    assert (info.burned_in, info.burned_in_basis) == wanted


def test_facts(tmp_path):
    info = load_image(
        make_dicom(
            tmp_path / "a", RAMP, Modality="MG", BodyPartExamined="BREAST", ImageLaterality="L", ViewPosition="MLO",
            ImagerPixelSpacing=[0.07, 0.07],
        )
    ).info  # fmt: skip
    assert (info.modality, info.body_part, info.laterality, info.view) == ("MG", "BREAST", "L", "MLO")
    assert info.pixel_spacing == (0.07, 0.07)
    assert info.transfer_syntax == "Explicit VR Little Endian"


# -------------------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"Rows": 65535, "Columns": 65535}, "more than the limit"),
        ({"Rows": 9000, "Columns": 9000}, "truncated or its header is wrong"),
        ({"NumberOfFrames": 2_000_000_000}, "truncated or its header is wrong"),
        ({"Rows": 0}, "size of"),
        ({"SamplesPerPixel": 3}, "claims 3 samples"),
        ({"BitsAllocated": 12}, "not a valid combination"),
        ({"PixelRepresentation": 7}, "not a valid combination"),
        ({"Columns": None}, "Columns"),
        ({"PixelData": None}, "cut off before its pixel data"),
    ],
)
def test_hostile_headers(tmp_path, elements, reason):
    path = make_dicom(tmp_path / "a", RAMP, **elements)
    with pytest.raises(ImageError, match=reason):
        load_image(path)


def test_deflate_bomb(tmp_path, monkeypatch):
    import osler.images.dicom_header as module

    path = make_dicom(tmp_path / "a", RAMP, WindowCenter=0, WindowWidth=500)
    wanted = load_image(path).image.tobytes()

    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    ds.save_as(path, enforce_file_format=True)
    assert load_image(path).image.tobytes() == wanted
    monkeypatch.setattr(module, "_DEFLATED_LIMIT", 1 << 20)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = path.read_bytes()
    _, start = module._meta(path.open("rb"))
    path.write_bytes(data[:start] + squeeze.compress(b"\0" * (64 << 20)) + squeeze.flush())
    with pytest.raises(ImageError, match="unpacks to more than"):
        load_image(path)


def test_codestream_larger_than_the_header(pydicom_files, tmp_path):
    for name, marker, at, size in (
        ("MR_small_jp2klossless.dcm", b"\xff\x4f\xff\x51", 8, 4),  # Xsiz
        ("MR_small_jpeg_ls_lossless.dcm", b"\xff\xf7", 7, 2),
        ("SC_rgb_jpeg_dcmtk.dcm", b"\xff\xc0", 7, 2),
    ):
        data = bytearray((pydicom_files / name).read_bytes())
        start = data.index(marker) + at
        data[start : start + size] = (60000).to_bytes(size, "big")
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ImageError, match="compressed frame has 60000 x"):
            load_image(tmp_path / name)


def test_truncated_jpeg_ls_is_refused_at_once(pydicom_files, tmp_path):
    """The decoder would search for seconds beyond the end of such a stream."""
    import time

    data = (pydicom_files / "MR_small_jpeg_ls_lossless.dcm").read_bytes()
    (tmp_path / "a").write_bytes(data[: len(data) // 2])
    start = time.process_time()
    with pytest.raises(ImageError, match="without its end marker"):
        load_image(tmp_path / "a")
    assert time.process_time() - start < 1


def test_video_and_unknown_syntaxes_are_named(tmp_path):
    path = make_dicom(tmp_path / "a", RAMP)
    data = path.read_bytes()
    for uid, reason in (("1.2.840.10008.1.2.4.102", "video"), ("1.2.840.10008.1.2.4.94", "not read|encapsulated")):
        old = b"1.2.840.10008.1.2.1\0"
        new = uid.encode() + b"\0" * (len(uid) % 2)
        at = data.index(old)
        changed = data[: at - 2] + len(new).to_bytes(2, "little") + new + data[at + len(old) :]
        path.write_bytes(changed)
        with pytest.raises(ImageError, match=reason):
            load_image(path)
