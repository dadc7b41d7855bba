"""python -m benchmarks.data   (or: make bench-data)

How fast articles and pictures are read. One JSON line with a part for each thing measured:

- `parse`: articles per second, from bytes to figures, captions, panels and mentions with the sentences around them.
- `pictures`: images per second, from file to RGB, SHA-256 and perceptual hash.

Each is compared with a plain single-process loop of lxml or Pillow that does what a short script would: captions by
`itertext`, paragraphs by the `rid` of their links; `Image.open`, `hashlib`, `imagehash`. The plain loop finds no range,
no unlinked mention, no panel and no sentence, refuses no entity and no decompression bomb. Rounds alternate, medians
count. `processes` is ours with as many processes as there are cores.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ARTICLES, PICTURES, ROUNDS = 200, 120, 5
PARAGRAPHS, REFERENCES = 90, 60  # give an article of some 100 kB
SIDES = ((1024, 768), (700, 900), (512, 512))


def main() -> None:
    """Measure the parts that are asked for, all by default, and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"of: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    from benchmarks.machine import describe

    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None  # of others: it takes from `processes`
    found = {name: PARTS[name](given.rounds) for name in given.parts}
    line = {"benchmark": "data", **found, "load_before": load, "machine": describe()}
    print(json.dumps(line), flush=True)


# --- articles


def made_articles(count: int) -> list[bytes]:
    """Rehearsal articles, grown to the size of real ones."""
    from osler.sources.pmc.made_articles import make

    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "m", count=count)
        return [grown(path.read_bytes(), rng) for path in sorted(Path(folder).glob("m/PMC*/*.xml"))[:count]]


def grown(xml: bytes, rng: random.Random) -> bytes:
    """An article with as many paragraphs and references as a real one has."""
    words = re.findall(
        r"\w+", "the lesion was seen in both lungs and did not change after treatment while values remained normal"
    )

    def sentence() -> str:
        return " ".join(rng.choices(words, k=18)).capitalize() + "."

    paragraphs = []
    for number in range(PARAGRAPHS):
        link = '(<xref ref-type="fig" rid="fig1">Fig. 1</xref>)' if number % 6 == 0 else "(see <italic>text</italic>)"
        cited = '<xref ref-type="bibr" rid="b1">1</xref>'
        body = " ".join(f"{sentence()} {sentence()} [{cited}]" for _ in range(3))
        paragraphs.append(f"<p>{body} {link}. {sentence()}</p>")
    text = f"<sec><title>Methods</title>{''.join(paragraphs)}</sec></body>"
    reference = (
        "<ref><element-citation><person-group><name><surname>A</surname><given-names>B</given-names></name>"
        "</person-group><article-title>On it</article-title><source>J</source><year>2020</year><volume>1</volume>"
        '<fpage>1</fpage><pub-id pub-id-type="doi">10.1/x</pub-id></element-citation></ref>'
    )
    xml = xml.replace(b"</body>", text.encode(), 1)
    return xml.replace(b"</ref-list>", (reference * REFERENCES).encode() + b"</ref-list>", 1)


def plain_article(data: bytes) -> int:
    """What a short script does with an article."""
    from lxml import etree

    root = etree.fromstring(data)
    mentioned: dict[str, list[str]] = {}
    for paragraph in root.iter("p"):
        links = [link for link in paragraph.iter("xref") if link.get("ref-type") == "fig"]
        if links:
            text = " ".join("".join(paragraph.itertext()).split())
            for link in links:
                mentioned.setdefault(link.get("rid", ""), []).append(text)
    count = 0
    for figure in root.iter("fig"):
        caption = figure.find("caption")
        graphic = figure.find(".//graphic")
        if caption is not None and graphic is not None:
            text = " ".join("".join(caption.itertext()).split())
            count += bool(text) + len(mentioned.get(figure.get("id", ""), ()))
    return count


def our_article(data: bytes) -> int:
    """What a harvest does with an article."""
    from osler.sources.pmc.jats import parse_article
    from osler.sources.pmc.mentions import mentions_of

    article = parse_article(data)
    return len(article.figures) + sum(map(len, mentions_of(article.figures, article.paragraphs).values()))


def measure_parse(rounds: int) -> dict[str, Any]:
    """Articles per second."""
    try:
        from lxml import etree
    except ImportError:
        sys.exit("lxml is not installed: pip install 'osler[bench]'")
    articles = made_articles(ARTICLES)
    rates = compare(plain_article, our_article, articles, rounds)
    size = round(statistics.mean(map(len, articles)) / 1000, 1)
    return {"articles": len(articles), "mean_kb": size, "lxml": etree.__version__, **rates}


# --- pictures


def made_pictures(folder: Path, count: int) -> list[str]:
    """JPEG files of the sizes that figures have: soft shapes with noise, so that they compress like radiographs."""
    from PIL import Image, ImageChops

    paths = []
    for number in range(count):
        size = SIDES[number % len(SIDES)]
        noise = Image.effect_noise(size, 24)
        soft = Image.effect_noise((9, 9), 90).resize(size, Image.Resampling.BICUBIC)
        stream = io.BytesIO()
        ImageChops.add(noise, soft, scale=2).convert("RGB").save(stream, "JPEG", quality=88)
        paths.append(str(folder / f"{number}.jpg"))
        Path(paths[-1]).write_bytes(stream.getvalue())
    return paths


def plain_picture(path: str) -> int:
    """What a short script does with a picture."""
    import imagehash
    from PIL import Image

    with open(path, "rb") as stream:
        digest = hashlib.sha256(stream.read()).hexdigest()
    with Image.open(path) as image:
        picture = image.convert("RGB")
    return len(digest) + len(str(imagehash.phash(picture, hash_size=16)))


def our_picture(path: str) -> int:
    """The same with Osler's reader."""
    from osler.images import file_sha256, load_image, perceptual_hash

    return len(file_sha256(path)) + len(perceptual_hash(load_image(path).image))


def measure_pictures(rounds: int) -> dict[str, Any]:
    """Images per second."""
    with tempfile.TemporaryDirectory() as folder:
        paths = made_pictures(Path(folder), PICTURES)
        size = round(statistics.mean(Path(path).stat().st_size for path in paths) / 1000, 1)
        return {"pictures": len(paths), "mean_kb": size, **compare(plain_picture, our_picture, paths, rounds)}


# --- both


def compare(
    plain: Callable[[Any], int], ours: Callable[[Any], int], items: Sequence[Any], rounds: int
) -> dict[str, Any]:
    """Items per second of the plain loop, of ours in one process, and of ours in as many as there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with workers(cores, ours, items) as spread:
        sides: dict[str, Callable[[], Any]] = {
            "plain": lambda: sum(map(plain, items)),
            "one_process": lambda: sum(map(ours, items)),
            "processes": spread,
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(rounds + 1):  # the first, which warms up, is left out
            for name, side in sides.items():
                began = time.perf_counter()
                assert side() > 0
                if number:
                    times[name].append(time.perf_counter() - began)
    rates = {name: len(items) / statistics.median(seconds) for name, seconds in times.items()}
    return {
        "per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "ratio_to_plain": {name: round(rates[name] / rates["plain"], 2) for name in ("one_process", "processes")},
        "process_count": cores,
    }


@contextmanager
def workers(count: int, work: Callable[[Any], int], items: Sequence[Any]) -> Iterator[Callable[[], int]]:
    """A function that does all items in processes."""
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield lambda: sum(pool.map(work, items, chunksize=8))


# name -> what measures it; another part is one more line here
PARTS: dict[str, Callable[[int], dict[str, Any]]] = {"parse": measure_parse, "pictures": measure_pictures}


if __name__ == "__main__":
    main()
