"""Raster files: every mode and orientation against values known by construction."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from osler.errors import ImageError
from osler.images import file_sha256, image_size, load_image

RAMP = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40)


def save(array, path, **options):
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.webp", "a.gif"])
def test_lossless_grey_and_name_does_not_matter(tmp_path, name):
    grey = (RAMP % 200).astype(np.uint8)
    path = save(grey, tmp_path / name, **({"lossless": True} if "webp" in name else {}))
    renamed = path.rename(tmp_path / "scan.dcm")  # the content decides
    loaded = load_image(renamed)
    assert loaded.image.mode == "RGB"
    assert np.array_equal(np.asarray(loaded.image)[..., 1], grey)
    assert (loaded.info.width, loaded.info.height) == image_size(renamed) == (40, 24)
    assert loaded.info.window is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_orientation(tmp_path, orientation, suffix):
    upright = np.zeros((48, 80, 3), np.uint8)
    upright[:16, :16] = (250, 0, 0)  # red top left
    upright[-16:, :16] = (0, 0, 250)  # blue bottom left
    # how a camera stores an upright scene under each orientation (EXIF 2.32, tag 0x0112): rows, columns start where
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1], 8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]  # fmt: skip
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = image.getexif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    image.save(
        path,
        exif=exif,
        **({"quality": 95, "subsampling": 0} if suffix == "jpg" else {"lossless": True} if suffix == "webp" else {}),
    )
    loaded = load_image(path)
    assert np.abs(np.asarray(loaded.image).astype(int) - upright).max() <= 12  # JPEG
    assert image_size(path) == (80, 48) == (loaded.info.width, loaded.info.height)
    assert load_image(path, max_side=20).image.size == (20, 12)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_deep_grey_is_windowed_not_clipped(tmp_path, dtype):
    values = (RAMP.astype(np.int64) * 60 + 300).astype(dtype)  # 300 to 57,840
    path = save(values, tmp_path / "a.tif")
    loaded = load_image(path)
    grey = np.asarray(loaded.image)[..., 0].astype(int)
    low, high = np.percentile(values, [1, 99], method="inverted_cdf").astype(float)
    wanted = np.clip((values.astype(float) - low) / (high - low), 0, 1) * 255
    assert np.abs(grey - wanted).max() <= 0.5 + 1e-6
    assert loaded.info.window["source"] == "percentile"
    assert loaded.info.window["level"] == pytest.approx((low + high) / 2)
    again = load_image(path, window=loaded.info.window)  # what was recorded reproduces the picture
    assert again.image.tobytes() == loaded.image.tobytes()


def test_big_endian_16_bit_png_and_tiff_agree(tmp_path):
    png, tif = save(RAMP * 50, tmp_path / "a.png"), tmp_path / "a.tif"
    Image.fromarray((RAMP * 50).astype(">u2")).save(tif)
    assert load_image(png).image.tobytes() == load_image(tif).image.tobytes()


def test_white_is_zero_tiff_is_inverted(tmp_path):
    deep = np.asarray(load_image(save(RAMP * 60, tmp_path / "a.tif", tiffinfo={262: 0})).image)[..., 0].astype(int)
    assert deep[0, 0] == 255  # Pillow stores the values as they are: 0 is white
    assert deep[-1, -1] == 0
    flat = (RAMP % 256).astype(np.uint8)  # Pillow inverts 8 bits when it writes, so reading must invert them back
    assert np.array_equal(np.asarray(load_image(save(flat, tmp_path / "b.tif", tiffinfo={262: 0})).image)[..., 0], flat)


def test_explicit_window_wins_and_colour_refuses_it(tmp_path):
    path = save(RAMP, tmp_path / "a.png")
    grey = np.asarray(load_image(path, window="500/200").image)[..., 0]
    assert grey[0, 0] == 0
    assert grey[-1, -1] == 255
    assert load_image(path, window="500/200").info.window["source"] == "explicit"
    colour = save(np.zeros((4, 4, 3), np.uint8), tmp_path / "c.png")
    with pytest.raises(ImageError, match="grey values only"):
        load_image(colour, window="lung")
    with pytest.raises(ImageError, match=r"unknown window.*lung"):
        load_image(path, window="lungs")


def test_alpha_is_flattened_on_white(tmp_path):
    array = np.zeros((4, 4, 4), np.uint8)
    array[:2] = (200, 0, 0, 255)
    assert np.asarray(load_image(save(array, tmp_path / "a.png")).image)[3, 0].tolist() == [255, 255, 255]
    palette = Image.fromarray(array[..., :3]).quantize(4)
    palette.save(tmp_path / "p.png", transparency=palette.getpixel((0, 3)))
    assert np.asarray(load_image(tmp_path / "p.png").image)[3, 0].tolist() == [255, 255, 255]
    assert np.asarray(load_image(tmp_path / "p.png").image)[0, 0].tolist() == [200, 0, 0]


def test_one_bit_palette_cmyk_and_lab(tmp_path):
    bits = np.zeros((8, 8), bool)
    bits[0, 0] = True
    assert np.asarray(load_image(save(bits, tmp_path / "b.png")).image)[0, :2, 0].tolist() == [255, 0]
    red = Image.new("RGB", (16, 16), (220, 30, 30))
    for mode, name in (("CMYK", "c.jpg"), ("CMYK", "c.tif"), ("P", "p.gif"), ("YCbCr", "y.jpg")):
        (red.quantize(4) if mode == "P" else red.convert(mode)).save(tmp_path / name)
        found = np.asarray(load_image(tmp_path / name).image)[8, 8].astype(int)
        assert np.abs(found - [220, 30, 30]).max() <= 12, name
    Image.frombytes("LAB", (1, 1), bytes([136, 80, 67])).save(tmp_path / "l.tif")  # L 53, a 80, b 67: sRGB red
    assert np.abs(np.asarray(load_image(tmp_path / "l.tif").image)[0, 0].astype(int) - [255, 0, 0]).max() <= 12


@pytest.mark.parametrize("name", ["a.tif", "a.webp", "a.gif"])
def test_frames(tmp_path, name):
    pages = [
        Image.new("RGB", (10 + (5 * n if "tif" in name else 0), 10), c) for n, c in enumerate(["red", "lime", "blue"])
    ]
    pages[0].save(
        tmp_path / name, save_all=True, append_images=pages[1:], **({"lossless": True} if "webp" in name else {})
    )
    for number, wanted in enumerate(([255, 0, 0], [0, 255, 0], [0, 0, 255])):
        loaded = load_image(tmp_path / name, frame=number)
        assert np.asarray(loaded.image)[5, 5].tolist() == wanted
        assert (loaded.info.frame, loaded.info.frames) == (number, 3)
        assert loaded.info.width == pages[number].width
    for number in (3, -1):
        with pytest.raises(ImageError, match="no frame"):
            load_image(tmp_path / name, frame=number)


def test_max_side_keeps_aspect_and_draft_stays_close(tmp_path):
    rng = np.random.default_rng(0)
    smooth = np.asarray(Image.fromarray(rng.integers(0, 255, (30, 45), np.uint8)).resize((1800, 1200), 3))
    jpeg, png = save(smooth, tmp_path / "a.jpg", quality=95), save(smooth, tmp_path / "a.png")
    fast, exact = load_image(jpeg, max_side=336), load_image(png, max_side=336)
    assert fast.image.size == exact.image.size == (336, 224)
    assert (fast.info.width, fast.info.height) == (1800, 1200)
    difference = np.asarray(fast.image).astype(int) - np.asarray(exact.image)
    assert np.abs(difference).max() <= 12
    assert abs(difference.mean()) < 0.5
    assert load_image(png, max_side=5000).image.size == (1800, 1200)  # never enlarged
    with pytest.raises(ImageError, match="max_side"):
        load_image(png, max_side=0)


def png_claiming(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def test_bombs_are_refused_from_the_header_and_globals_stay(tmp_path):
    from PIL import ImageFile

    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    path = tmp_path / "bomb.png"
    path.write_bytes(png_claiming(60_000, 60_000))
    with pytest.raises(ImageError, match="3,600,000,000 pixels"):
        load_image(path)
    webp = save(np.zeros((9, 9, 3), np.uint8), tmp_path / "a.webp", lossless=True)
    data = bytearray(webp.read_bytes())
    data[21:25] = b"\xff\xff\xff\x0f"  # 16384 x 16384 in the VP8L header
    webp.write_bytes(data)
    with pytest.raises(ImageError, match="pixels, more than the limit"):
        load_image(webp)
    # a legitimate picture above the limit passes when the limit is raised, also beyond Pillow's own
    small = save(RAMP.astype(np.uint8), tmp_path / "s.png")
    with pytest.raises(ImageError, match="raise max_pixels"):
        load_image(small, max_pixels=100)
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


def test_limit_above_pillows_own(tmp_path):
    path = tmp_path / "wide.png"
    Image.new("1", (20_000, 10_000)).save(path)  # 200 megapixels, 25 kB
    loaded = load_image(path, max_pixels=250_000_000, max_side=100)
    assert loaded.image.size == (100, 50)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"just some text, saved as png", "it is text"),
        (b"<!DOCTYPE html><html></html>", "HTML page"),
        (b"%PDF-1.7\n", "PDF"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (b"\x00" * 900, "zero bytes"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"\xff\xd8\xff\xe0", "damaged"),
        (b"II*\x00\xff\xff\xff\xff", "damaged"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "truncated WebP"),
        (b"BM" + b"\x00" * 40, "damaged"),
        (b"GIF89a", "damaged"),
    ],
)
def test_says_what_is_wrong(tmp_path, content, reason):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read in (load_image, image_size):
        with pytest.raises(ImageError, match=reason) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.bmp"])
def test_truncated(tmp_path, name):
    rng = np.random.default_rng(0)
    path = save(rng.integers(0, 255, (64, 64, 3), np.uint8), tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(ImageError, match="truncated"):
        load_image(path)


def test_paths_that_are_no_files(tmp_path):
    for path, reason in ((tmp_path, "folder"), (tmp_path / "none.png", "no such file"), ("a\0b", "opened|no such")):
        for read in (load_image, image_size, file_sha256):
            with pytest.raises(ImageError, match=reason):
                read(path)
