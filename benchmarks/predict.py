"""How fast, how large and how seam-free is the prediction of a scene?

    python benchmarks/predict.py memory --side 8000     # one size a process: its largest memory and its time
    python benchmarks/predict.py memory --side 40000
    python benchmarks/predict.py speed                  # against the forward pass alone, and against MONAI
    python benchmarks/predict.py speed --device cuda --side 8192 --rounds 3

memory: a generated GeoTIFF (three bands, tiled, a roof every 512 px) goes the whole way - windows, blending,
probability and mask on disk, roofs, GeoJSON - with a stand-in network that reads the red band.

speed: the same U-Net (random weights, the default depth and width) three ways over one generated scene, turn by
turn in one process, medians of the rounds. "forward" is the network alone on the batches that our windows make;
"scene" is the way from the GeoTIFF to stored probabilities; MONAI's `sliding_window_inference` (1.6, needs
`pip install --no-deps monai`) gets the picture in memory and keeps its result there, with Gaussian weights and the
same overlap in pixels. Seams: the largest and mean difference to one pass over the whole picture, where one fits.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio import Affine
from rasterio.windows import Window as GdalWindow

from rooftop.data.prepare import Preparation
from rooftop.inference.canvas import Canvas
from rooftop.inference.scene import Tiling, predict_scene
from rooftop.models import UNet
from rooftop.polygons.geojson import write_geojson
from rooftop.polygons.ground import Ground
from rooftop.polygons.layers import Layers
from rooftop.polygons.roofs import Shaping, find_roofs
from rooftop.polygons.spool import Spool
from rooftop.raster.cog import Sheet, write_raster
from rooftop.raster.geotiff import Scene, open_scene
from rooftop.raster.steps import NODATA, STEP, at_least
from rooftop.raster.windows import Window, spans

SHAPING = Shaping(separate=0.85, tolerance=1.0, angle=20.0, shift=2.0, min_area=10.0, min_hole=3.0)
PLACE = {"crs": "EPSG:32645", "transform": Affine(0.3, 0, 400_000, 0, -0.3, 3_060_000)}
BLOCK = 512


def generate(path: Path, height: int, width: int, *, noise: bool) -> None:
    """Write a scene: grey ground, a bright L-shaped roof in each block; with noise on top it looks alive."""
    rng = np.random.default_rng(0)
    block = np.full((3, BLOCK, BLOCK), 60, np.uint8)
    block[:, 100:180, 120:200] = block[:, 150:180, 190:260] = 220
    profile = {"count": 3, "height": height, "width": width, "dtype": "uint8", "tiled": True, "compress": "deflate"}
    layout = {"blockxsize": BLOCK, "blockysize": BLOCK, "interleave": "pixel", "zlevel": 1, **PLACE}
    with rasterio.open(path, "w", driver="GTiff", **profile, **layout) as dataset:
        for row in range(0, height, BLOCK):
            for column in range(0, width, BLOCK):
                h, w = min(BLOCK, height - row), min(BLOCK, width - column)
                part = block[:, :h, :w]
                if noise:
                    part = part + rng.integers(0, 30, part.shape, dtype=np.uint8)
                dataset.write(part, window=GdalWindow(column, row, w, h))


def stand_in(pictures: np.ndarray) -> np.ndarray:
    """A network without context: the red band as probability."""
    return pictures[..., 0][:, None].astype(np.float32) / 255


def memory(side: int, tiling: Tiling) -> None:
    """One size, the whole way; prints its largest memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder / "scene.tif", side, side, noise=False)
        start = time.monotonic()
        with open_scene(str(folder / "scene.tif")) as scene:
            canvas = Canvas(folder / "canvas", (1, side, side), tiling.ends(side))
            predict_scene(scene, stand_in, canvas, tiling=tiling, progress=lambda pixels: None)
            predicted = time.monotonic()
            count = outlines(scene, canvas, folder)
        seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"| {side:,} x {side:,} | {side * side / 1e6:,.0f} | {count:,} | {peak:,.0f} | {predicted - start:,.0f} | "
        f"{seconds:,.0f} |"
    )


def outlines(scene: Scene, canvas: Canvas, folder: Path) -> int:
    """Roofs, GeoJSON, mask and probability of a predicted scene."""
    ground = Ground(scene.georeference, 0.3)
    roofs = Spool(
        folder / "r", find_roofs(Layers(canvas.read, canvas.shape), threshold=0.5, shaping=SHAPING, ground=ground)
    )
    write_geojson(folder / "r.geojson", roofs, ground=ground, categories=["roof"])
    size = scene.height, scene.width
    write_raster(folder / "m.png", Sheet(*size, None, ("mask",)), lambda window: at_least(canvas.read(window), 0.5))
    sheet = Sheet(*size, scene.georeference, ("roof",), nodata=NODATA, scale=STEP)
    write_raster(folder / "p.tif", sheet, canvas.read)
    return len(roofs)


class Network:
    """The default U-Net with random weights behind the same preparation as the predictor's."""

    def __init__(self, device: str) -> None:
        torch.manual_seed(0)
        network = UNet(
            in_channels=3,
            depth=5,
            width=16,
            norm="batch",
            activation="relu",
            dropout=0.0,
            upsampling="bilinear",
            classes=1,
        )
        self.device = torch.device(device)
        self.network = network.eval().to(self.device).to(memory_format=torch.channels_last)
        self.prepare = Preparation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

    def batch(self, pictures: np.ndarray) -> torch.Tensor:
        """uint8 (B, H, W, 3) to the network's input."""
        images = torch.cat([self.prepare.normalise_batch(torch.from_numpy(picture[None])) for picture in pictures])
        return images.to(self.device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def forward(self, pictures: np.ndarray) -> np.ndarray:
        """As `Predictor.forward`."""
        return self.network(self.batch(pictures)).float().sigmoid().cpu().numpy()


def windows_of(height: int, width: int, tiling: Tiling) -> list[Window]:
    """Every window of a scene."""
    rows, columns = (spans(side, tiling.window, tiling.overlap) for side in (height, width))
    return [Window(c.start, r.start, len(c.weights), len(r.weights)) for r in rows for c in columns]


def speed(side: int, tiling: Tiling, device: str, rounds: int) -> None:
    """Three ways over one scene, turn by turn."""
    height, width = side, side * 3 // 2
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "scene.tif"
        generate(path, height, width, noise=True)
        network, results, times = Network(device), {}, {}
        with open_scene(str(path)) as scene:
            picture, _ = scene.read(Window(0, 0, width, height))

            def ours() -> np.ndarray:
                canvas = Canvas(Path(name) / f"c{time.monotonic_ns()}", (1, height, width), tiling.ends(height))
                predict_scene(scene, network.forward, canvas, tiling=tiling, progress=lambda pixels: None)
                return canvas.read(Window(0, 0, width, height))[0] * STEP + STEP / 2

            ways = {"forward": lambda: forward_only(network, picture, tiling), "scene": ours}
            ways |= {f"MONAI {roi}": monai(network, picture, roi, tiling.overlap) for roi in (256, tiling.window)}
            for _ in range(rounds + 1):  # the first round warms up and does not count
                for way, call in ways.items():
                    start = time.monotonic()
                    results[way] = call()
                    times.setdefault(way, []).append(time.monotonic() - start)
        report(times, results, network, picture)


def forward_only(network: Network, picture: np.ndarray, tiling: Tiling) -> None:
    """The network alone on the batches that our windows make."""
    windows = windows_of(*picture.shape[:2], tiling)
    for i in range(0, len(windows), tiling.batch):
        network.forward(np.stack([picture[window.slices] for window in windows[i : i + tiling.batch]]))


def monai(network: Network, picture: np.ndarray, roi: int, overlap: int) -> Callable[[], np.ndarray]:
    """MONAI's sliding window with the same network and overlap in pixels."""
    from monai.inferers import sliding_window_inference

    @torch.inference_mode()
    def call() -> np.ndarray:
        batch = network.batch(picture[None])
        found = sliding_window_inference(
            batch, (roi, roi), 4, lambda part: network.network(part).sigmoid(), overlap=overlap / roi, mode="gaussian"
        )
        return found.float().cpu().numpy()[0, 0]

    return call


def report(times: dict, results: dict, network: Network, picture: np.ndarray) -> None:
    """A table of medians, and the seams of each way."""
    whole = network.forward(picture[None])[0, 0] if picture.shape[0] <= 4096 else None
    megapixels = picture.shape[0] * picture.shape[1] / 1e6
    bound = statistics.median(times["forward"][1:])
    print("| way | s (median) | Mpx/s | share of the forward bound | seam, largest | mean |\n|---|---|---|---|---|---|")
    for way, found in times.items():
        seconds = statistics.median(found[1:])
        off = None if whole is None or results[way] is None else np.abs(results[way] - whole)
        seam = "| | " if off is None else f"| {off.max():.4f} | {off.mean():.5f} "
        print(f"| {way} | {seconds:.2f} | {megapixels / seconds:.3f} | {bound / seconds:.0%} {seam}|")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "speed"])
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--overlap", type=int, default=96)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    tiling = Tiling(options.window, options.overlap, options.batch)
    if options.what == "memory":
        memory(options.side, tiling)
    else:
        speed(options.side, tiling, options.device, options.rounds)


if __name__ == "__main__":
    main()
