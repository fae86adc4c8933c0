"""What decoding a data set costs, and what sharing the decoded images saves: times and memory on generated PNG files.

    python benchmarks/data.py [--images 5000] [--size 64] [--processes 4]

Writes PNG files of 256 x 256 with transparency, in the size and mode of FERG-DB, to a temporary folder, and measures:
decoding on one core and on all, building the cache, opening it again in another process, and the memory of several
processes that read every pixel, mapped against copied. Files are in the memory of the system when they are read.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from models.data.cache import Stamp, decode_files

ROOT = Path(__file__).parents[1]


def write_pictures(folder: Path, count: int) -> int:
    """Write the files and return their bytes."""
    folder.mkdir()
    coarse = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC))
    silhouette = Image.radial_gradient("L").point(lambda value: 255 if value < 128 else 0)
    for number in range(count):
        picture = Image.fromarray(np.roll(pixels, divmod(number, 256), (0, 1)))
        picture.putalpha(silhouette)
        picture.save(folder / f"{number:06d}.png", compress_level=1)
    return sum(path.stat().st_size for path in folder.iterdir())


def stamps_of(folder: Path) -> list[Stamp]:
    """Stamp the files, as a data set does on every start."""
    status = [(path, path.stat()) for path in sorted(folder.iterdir())]
    return [Stamp(str(path), found.st_size, found.st_mtime_ns) for path, found in status]


def timed(folder: Path, size: int, cache: Path | None) -> str:
    """Return wall and processor seconds from listing the files to having the images, for people."""
    wall, busy = time.perf_counter(), time.process_time()
    decode_files(stamps_of(folder), size, cache)
    return f"{time.perf_counter() - wall:.2f} s ({time.process_time() - busy:.2f} s of processor)"


def memory() -> dict[str, float]:
    """Return resident, proportional and private memory of this process, MiB (Linux)."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    private = kib["Private_Clean"] + kib["Private_Dirty"]
    return {"resident": kib["Rss"] / 1024, "proportional": kib["Pss"] / 1024, "private": private / 1024}


def worker(folder: Path, size: int, cache: Path, copy: bool) -> None:
    """Open the cache, read every pixel, and print time and memory once all workers have them (on a line of input)."""
    before = memory()
    started = time.perf_counter()
    images = decode_files(stamps_of(folder), size, cache).images
    opened = time.perf_counter() - started
    if copy:
        images = images.copy()
    total = int(images.sum(dtype=np.int64))
    print(total, flush=True)
    sys.stdin.readline()
    after = memory()
    print(opened, *(after[name] - before[name] for name in after), flush=True)
    sys.stdin.readline()


def side_by_side(folder: Path, size: int, cache: Path, processes: int, copy: bool) -> np.ndarray:
    """Return (processes, 4): seconds to open, then MiB that the images add, resident, proportional and private."""
    command = [sys.executable, __file__, "--worker", str(folder), str(cache), "--size", str(size)]
    command += ["--copy"] if copy else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(processes)
    ]
    for process in running:
        _read(process)
    figures = []
    for process in running:
        _write(process)
        figures.append([float(word) for word in _read(process).split()])
    for process in running:
        process.communicate("\n")
    return np.array(figures)


def _read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _write(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--worker", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--copy", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(*options.worker[:1], options.size, options.worker[1], options.copy)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder, cache = Path(temporary) / "pictures", Path(temporary) / "cache"
        written = write_pictures(folder, options.images)
        print(f"{options.images:,} PNG files of 256 x 256, {written / 2**20:.0f} MiB; load {os.getloadavg()[0]:.1f}")
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})
        print(f"decoding to {options.size} x {options.size} on one core: {timed(folder, options.size, None)}")
        os.sched_setaffinity(0, cores)
        print(f"the same on {len(cores)} cores: {timed(folder, options.size, None)}")
        print(f"hashing, decoding and writing the cache: {timed(folder, options.size, cache)}")
        print(f"opening it again: {timed(folder, options.size, cache)}")
        for path in folder.iterdir():
            os.utime(path)
        print(f"after all times of change were touched: {timed(folder, options.size, cache)}")
        for copy in (False, True):
            found = side_by_side(folder, options.size, cache, options.processes, copy)
            resident, proportional, private = found[:, 1:].mean(0)
            opened = found[:, 0].mean()
            print(
                f"{options.processes} processes, {'copied' if copy else 'mapped'}: opened in {opened:.3f} s; "
                f"MiB each: resident {resident:.0f}, proportional {proportional:.0f}, private {private:.0f}; "
                f"together {found[:, 2].sum():.0f}"
            )


if __name__ == "__main__":
    main()
