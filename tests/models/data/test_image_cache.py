"""Decoded images are made once, shared as one mapped file, and never served stale or half written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.data import DataError, data_problems, load_splits
from models.data import cache as image_cache
from models.data.cache import Stamp, decode_files
from models.data.decoding import read_image
from models.data.tensors import shared_tensor
from tests.models.data.published import draw_ferg, write_picture

ROOT = Path(__file__).parents[3]
SIZE = 32


def stamps_of(root: Path) -> list[Stamp]:
    return [
        Stamp(str(path), path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(root.iterdir())
        if path.is_file()
    ]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for number in range(6):
        write_picture(folder / f"{number}.png", number)
    return folder


def entries(folder: Path) -> list[Path]:
    return sorted((folder / "images").glob("*.arrow"))


def count_decoding(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []

    def counted(source: Any, size: int) -> np.ndarray:
        calls.append(size)
        return read_image(source, size)

    monkeypatch.setattr(image_cache.decoding, "read_image", counted)
    return calls


def test_what_comes_from_the_cache_is_what_the_files_hold(pictures: Path, tmp_path: Path) -> None:
    stamps = stamps_of(pictures)
    expected = np.stack([read_image(Path(stamp.path), SIZE) for stamp in stamps])
    for cache in (None, tmp_path, tmp_path):
        found = decode_files(stamps, SIZE, cache)
        assert np.array_equal(found.images, expected)
        assert found.unreadable == {}
        assert len({bytes(digest) for digest in found.digests}) == 6
    assert np.array_equal(found.digests, decode_files(stamps, SIZE, None).digests)


def test_images_are_decoded_once_and_again_for_other_content_or_size(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_decoding(monkeypatch)
    decode_files(stamps_of(pictures), SIZE, tmp_path)
    decode_files(stamps_of(pictures), SIZE, tmp_path)
    assert len(calls) == 6
    decode_files(stamps_of(pictures), 64, tmp_path)
    assert len(calls) == 12
    write_picture(pictures / "0.png", 99)
    changed = decode_files(stamps_of(pictures), SIZE, tmp_path)
    assert len(calls) == 18
    assert np.array_equal(changed.images[0], read_image(pictures / "0.png", SIZE))
    assert len(entries(tmp_path)) == 3


def test_the_content_counts_not_the_place_or_the_time(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_files(stamps_of(pictures), SIZE, tmp_path)
    calls = count_decoding(monkeypatch)
    os.utime(pictures / "0.png", ns=(1, 1))
    pictures.rename(tmp_path / "moved")
    decode_files(stamps_of(tmp_path / "moved"), SIZE, tmp_path)
    assert calls == []
    assert len(entries(tmp_path)) == 1


def test_other_code_that_decodes_makes_other_entries(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_files(stamps_of(pictures), SIZE, tmp_path)
    monkeypatch.setattr(image_cache, "_decoder", lambda: "another Pillow")
    decode_files(stamps_of(pictures), SIZE, tmp_path)
    assert len(entries(tmp_path)) == 2


def test_images_are_mapped_without_a_copy_and_cannot_be_changed(pictures: Path, tmp_path: Path) -> None:
    decode_files(stamps_of(pictures), SIZE, tmp_path)
    images = decode_files(stamps_of(pictures), SIZE, tmp_path).images
    assert images.dtype == np.uint8
    (entry,) = entries(tmp_path)
    places = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(entry))]
    ranges = [tuple(int(end, 16) for end in place[0].split("-")) for place in places]
    tensor = shared_tensor(images)
    for address in (images.__array_interface__["data"][0], tensor.data_ptr()):
        assert any(low <= address < address + images.nbytes <= high for low, high in ranges)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_an_entry_that_is_not_whole_is_made_anew(
    pictures: Path, tmp_path: Path, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = decode_files(stamps_of(pictures), SIZE, tmp_path).images.copy()
    (entry,) = entries(tmp_path)
    data = entry.read_bytes()
    entry.unlink()  # the file that is still mapped stays as it is
    entry.write_bytes(data[: int(share * len(data))])
    calls = count_decoding(monkeypatch)
    assert np.array_equal(decode_files(stamps_of(pictures), SIZE, tmp_path).images, whole)
    assert len(calls) == 6


def test_an_entry_under_another_name_is_not_taken_for_it(pictures: Path, tmp_path: Path) -> None:
    decode_files(stamps_of(pictures), SIZE, tmp_path)
    (entry,) = entries(tmp_path)
    write_picture(pictures / "0.png", 99)
    decode_files(stamps_of(pictures), SIZE, tmp_path)
    other = next(path for path in entries(tmp_path) if path != entry)
    other.unlink()
    entry.rename(other)
    changed = decode_files(stamps_of(pictures), SIZE, tmp_path)
    assert np.array_equal(changed.images[0], read_image(pictures / "0.png", SIZE))


KILLED = """
import sys, time
from pathlib import Path
from models.data import cache
from models.data.cache import Stamp, decode_files

folder = Path(sys.argv[1])
stamps = [Stamp(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in sorted((folder / "pictures").iterdir())]
{patch}
decode_files(stamps, 32, folder)
"""
WHILE_DECODING = """
cache._AT_ONCE = 2
decode = cache.decoding.read_image
def slow(source, size):
    if (folder / "images").exists() and list((folder / "images").glob(".*.raw")):
        (folder / "reached").touch()
        time.sleep(60)
    return decode(source, size)
cache.decoding.read_image = slow
"""
BEFORE_RENAMING = """
def stop(*_):
    (folder / "reached").touch()
    time.sleep(60)
cache.os.replace = stop
"""


@pytest.mark.parametrize("patch", [WHILE_DECODING, BEFORE_RENAMING])
def test_what_a_killed_builder_left_is_never_used_and_cleared_away(pictures: Path, tmp_path: Path, patch: str) -> None:
    code = KILLED.replace("{patch}", patch)
    builder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    while not (tmp_path / "reached").exists():
        assert builder.poll() is None
        time.sleep(0.02)
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    left = [path for path in (tmp_path / "images").iterdir() if path.suffix in (".raw", ".tmp")]
    assert left
    assert entries(tmp_path) == []
    images = decode_files(stamps_of(pictures), SIZE, tmp_path).images
    assert np.array_equal(images[5], read_image(pictures / "5.png", SIZE))
    assert not any(path.exists() for path in left)


def test_two_that_build_at_once_decode_once(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count_decoding(monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: decode_files(stamps_of(pictures), SIZE, tmp_path), range(4)))
    assert len(calls) == 6
    assert all(np.array_equal(one.images, found[0].images) for one in found)


def test_unreadable_files_are_remembered_with_their_reason(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pictures / "2.png").write_bytes(b"no image")
    decode_files(stamps_of(pictures), SIZE, tmp_path)
    calls = count_decoding(monkeypatch)
    found = decode_files(stamps_of(pictures), SIZE, tmp_path)
    assert calls == []
    assert found.unreadable == {2: "not an image"}
    assert np.array_equal(found.images[2], read_image(pictures / "3.png", SIZE))
    assert len(found.images) == len(found.digests) == 5


def test_only_unreadable_files_make_an_empty_entry(pictures: Path, tmp_path: Path) -> None:
    for path in pictures.iterdir():
        path.write_bytes(path.name.encode())
    for cache in (None, tmp_path, tmp_path):
        found = decode_files(stamps_of(pictures), SIZE, cache)
        assert found.images.shape == (0, 3, SIZE, SIZE)
        assert len(found.unreadable) == 6


def test_a_file_that_cannot_be_opened_now_is_refused_and_not_remembered(pictures: Path, tmp_path: Path) -> None:
    stamps = stamps_of(pictures)
    (pictures / "1.png").rename(tmp_path / "away.png")
    with pytest.raises(DataError, match=r"root: .*1\.png cannot be opened \(No such file or directory\)"):
        decode_files(stamps, SIZE, tmp_path)
    (tmp_path / "away.png").rename(pictures / "1.png")
    assert decode_files(stamps, SIZE, tmp_path).unreadable == {}


def test_a_file_that_changes_while_it_is_read_is_refused(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = image_cache._contents

    def contents(stamps: list[Stamp]) -> list[str] | None:
        found = original(stamps)
        write_picture(pictures / "4.png", 77)
        return found

    monkeypatch.setattr(image_cache, "_contents", contents)
    with pytest.raises(DataError, match=r"root: .*4\.png changed while it was read"):
        decode_files(stamps_of(pictures), SIZE, tmp_path)
    assert entries(tmp_path) == []


def test_a_long_build_says_how_far_it_is(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(image_cache, "_AT_ONCE", 4)
    monkeypatch.setattr(image_cache, "_SECONDS_BETWEEN_LINES", 0.0)
    decode_files(stamps_of(pictures), SIZE, tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"{verb} images: {done} of 6" for verb in ("reading", "decoding") for done in (4, 6)
    ]


def test_a_data_set_is_the_same_with_and_without_a_cache(tmp_path: Path) -> None:
    config = {"kind": "ferg", "root": str(draw_ferg(tmp_path)), "size": SIZE}
    assert data_problems(config, tmp_path / "cache") == []
    shared, splits = load_splits(config, tmp_path / "cache")
    own, same_splits = load_splits(config)
    assert shared.fingerprint == own.fingerprint
    assert np.array_equal(shared.images, own.images)
    assert np.array_equal(splits.test, same_splits.test)
    assert len(entries(tmp_path / "cache")) == 1


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    config = {"kind": "ferg", "root": str(draw_ferg(tmp_path)), "size": SIZE}
    (tmp_path / "file").touch()
    (problem,) = data_problems(config, tmp_path / "file")
    assert "or not be kept in the cache" in problem
