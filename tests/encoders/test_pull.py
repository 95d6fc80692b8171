"""Weights come by pinned revision and checksum, and go on where they were cut off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from encoders.errors import ProfileError
from encoders.profile import HERE, Profile, load_profile, read_profile
from encoders.pull import pull_profile, verify_profile
from encoders.weights import pulled_path
from tests.encoders.hub import Hub, serve

BIG = Random(0).randbytes(3_000_000)
SMALL = b"tokens"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as hub:
        hub.files["me/big/resolve/abc123/model.bin"] = BIG
        hub.files["me/small/resolve/def456/deep/tokenizer.json"] = SMALL
        yield hub


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    """A profile of two files, both pinned."""
    data = json.loads((HERE / "paper.json").read_bytes())
    big = {"repository": "me/big", "revision": "abc123", "path": "model.bin"}
    small = {"repository": "me/small", "revision": "def456", "path": "deep/tokenizer.json"}
    data |= {
        "name": "mine",
        "networks": {},
        "files": {
            "big": {"source": big, "sha256": sha256(BIG).hexdigest(), "size": len(BIG)},
            "small": {"source": small, "sha256": sha256(SMALL).hexdigest(), "size": None},
        },
    }
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(data))
    return path


@pytest.fixture
def mine(definition: Path) -> Profile:
    return read_profile(definition)


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def pull(profile: Profile, hub: Hub, dest: Path, *, trust: bool = False) -> list[Path]:
    return pull_profile(
        profile,
        mirror=hub.url,
        dest=dest,
        trust_first_use=trust,
        quiet=True,
        pause=lambda seconds: None,
    )


def test_a_profile_is_pulled_through_redirects(mine: Profile, hub: Hub, dest: Path) -> None:
    big, small = pull(mine, hub, dest)
    assert big.read_bytes() == BIG
    assert small.read_bytes() == SMALL
    assert verify_profile(mine, dest=dest) == [big, small]


def test_what_is_here_is_not_fetched_again(mine: Profile, hub: Hub, dest: Path) -> None:
    pull(mine, hub, dest)
    sent = hub.sent
    pull(mine, hub, dest)
    assert hub.sent == sent


def test_a_cut_download_goes_on_where_it_stopped(mine: Profile, hub: Hub, dest: Path) -> None:
    hub.cut = [1_000_000, 1_500_000]
    pull(mine, hub, dest)
    assert hub.ranges[:3] == [None, "bytes=1000000-", "bytes=2500000-"]
    assert hub.sent == len(BIG) + len(SMALL)


def test_another_run_goes_on_too(mine: Profile, hub: Hub, dest: Path) -> None:
    hub.cut = [700_000] + [0] * 4
    with pytest.raises(ProfileError, match="pull again to go on"):
        pull(mine, hub, dest)
    assert pull(mine, hub, dest)[0].read_bytes() == BIG
    assert hub.sent == len(BIG) + len(SMALL)


def test_a_file_that_changed_meanwhile_starts_over(
    definition: Path, mine: Profile, hub: Hub, dest: Path
) -> None:
    hub.files["me/big/resolve/abc123/model.bin"] = b"another" * 200_000
    hub.cut = [700_000] + [0] * 4
    with pytest.raises(ProfileError):
        pull(mine, hub, dest)
    hub.files["me/big/resolve/abc123/model.bin"] = BIG
    assert pull(mine, hub, dest)[0].read_bytes() == BIG


def test_a_busy_server_is_asked_again(mine: Profile, hub: Hub, dest: Path) -> None:
    hub.fail = [503, 429, 500]
    assert pull(mine, hub, dest)[0].read_bytes() == BIG


def test_a_wrong_checksum_leaves_nothing(mine: Profile, hub: Hub, dest: Path) -> None:
    hub.files["me/big/resolve/abc123/model.bin"] = b"x" + BIG[1:]
    with pytest.raises(ProfileError, match="another sha256"):
        pull(mine, hub, dest)
    assert not [path for path in dest.rglob("model.bin*") if path.is_file()]


def test_an_endless_file_is_cut_short(mine: Profile, hub: Hub, dest: Path) -> None:
    hub.files["me/big/resolve/abc123/model.bin"] = BIG + b"more"
    with pytest.raises(ProfileError, match="longer than it should be"):
        pull(mine, hub, dest)


def test_a_missing_revision_is_named(mine: Profile, hub: Hub, dest: Path) -> None:
    del hub.files["me/big/resolve/abc123/model.bin"]
    with pytest.raises(ProfileError, match=r"abc123/model\.bin answers HTTP 404"):
        pull(mine, hub, dest)


def test_a_damaged_file_is_found_and_replaced(mine: Profile, hub: Hub, dest: Path) -> None:
    pull(mine, hub, dest)
    pulled_path(mine, mine.files["small"], dest).write_bytes(b"tokenz")
    with pytest.raises(ProfileError, match="sha256 differs"):
        verify_profile(mine, dest=dest)
    assert pull(mine, hub, dest)[1].read_bytes() == SMALL


def test_two_pulls_at_once_fetch_once(mine: Profile, hub: Hub, dest: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: pull(mine, hub, dest), range(2))
    assert one == other
    assert hub.sent == len(BIG) + len(SMALL)


def test_a_mirror_may_be_a_directory(mine: Profile, hub: Hub, dest: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    for name, content in hub.files.items():
        (mirror / name).parent.mkdir(parents=True)
        (mirror / name).write_bytes(content)
    big, _ = pull_profile(mine, mirror=str(mirror), dest=dest, quiet=True)
    assert big.read_bytes() == BIG
    (mirror / "me/big/resolve/abc123/model.bin").unlink()
    with pytest.raises(ProfileError, match="the mirror lacks"):
        pull_profile(mine, mirror=str(mirror), dest=tmp_path / "other", quiet=True)


class TestUnknownChecksum:
    """A file whose sha256 nobody has published."""

    @pytest.fixture
    def definition(self, definition: Path) -> Path:
        data = json.loads(definition.read_bytes())
        data["files"]["small"]["sha256"] = None
        definition.write_text(json.dumps(data))
        return definition

    def test_it_is_not_fetched_without_a_word(self, mine: Profile, hub: Hub, dest: Path) -> None:
        with pytest.raises(ProfileError, match="--trust-first-use"):
            pull(mine, hub, dest)
        assert hub.sent == 0

    def test_what_came_first_is_recorded_and_pinned(
        self, definition: Path, mine: Profile, hub: Hub, dest: Path
    ) -> None:
        pull(mine, hub, dest, trust=True)
        known = load_profile(definition, weights_dir=dest)
        assert known.files["small"].sha256 == sha256(SMALL).hexdigest()
        (_, small) = verify_profile(known, dest=dest)
        small.unlink()
        hub.files["me/small/resolve/def456/deep/tokenizer.json"] = b"swapped"
        with pytest.raises(ProfileError, match="another sha256"):
            pull(known, hub, dest, trust=True)


def test_the_packaged_profile_has_nothing_to_fetch(profile: Profile, hub: Hub, dest: Path) -> None:
    assert len(pull(profile, hub, dest)) == len(profile.files)
    assert hub.sent == 0
