"""How much memory and time make_tiles.py takes for few and for many footprints on the same ground.

python benchmarks/make_tiles.py --footprints 10000 200000
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyogrio.raw
import rasterio
import shapely
from affine import Affine

SIDE, METRES = 2048, 0.5  # pixels of the orthophoto, metres per pixel
WEST, NORTH, CRS = 300_000, 3_100_000, "EPSG:32645"
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--footprints", type=int, nargs="+", default=[10_000, 200_000])
    options = parser.parse_args()
    print("| footprints | file | s | peak MB |\n|---:|---|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        apart(write_orthophoto, folder / "ortho.tif")
        for suffix, driver in ((".gpkg", "GPKG"), (".geojson", "GeoJSON")):
            for count in options.footprints:
                path = folder / f"{count}{suffix}"
                apart(write_footprints, path, count, driver)
                seconds, peak = cut(folder / "ortho.tif", path, folder / f"out_{path.name}")
                print(f"| {count:,} | {suffix[1:]} | {seconds:.1f} | {peak:.0f} |", flush=True)


def apart(function, *arguments) -> None:
    """Call in a process of its own: a child is said to have had at least the memory of the process that started it."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()


def write_orthophoto(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(1, 256, (3, SIDE, SIDE), dtype=np.uint8)
    size = {"count": 3, "height": SIDE, "width": SIDE, "dtype": "uint8", "tiled": True}
    affine = Affine(METRES, 0, WEST, 0, -METRES, NORTH)
    with rasterio.open(path, "w", driver="GTiff", crs=CRS, transform=affine, **size) as file:
        file.write(pixels)


def write_footprints(path: Path, count: int, driver: str) -> None:
    rng = np.random.default_rng(0)
    side = rng.uniform(1, 3, count)
    west, north = WEST + rng.uniform(0, SIDE * METRES, count), NORTH - rng.uniform(0, SIDE * METRES, count)
    wkb = shapely.to_wkb(shapely.box(west, north - side, west + side, north))
    pyogrio.raw.write(path, wkb, [], [], geometry_type="Polygon", crs=CRS, driver=driver)


def cut(orthophoto: Path, footprints: Path, out: Path) -> tuple[float, float]:
    """Seconds and largest memory, in megabytes, of the script."""
    command = [sys.executable, "make_tiles.py", f"source={orthophoto}", f"footprints={footprints}"]
    start = time.monotonic()
    child = subprocess.Popen(
        [*command, f"hydra.run.dir={out}"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"make_tiles.py failed on {footprints}")
    return time.monotonic() - start, usage.ru_maxrss / 1e3


if __name__ == "__main__":
    main()
