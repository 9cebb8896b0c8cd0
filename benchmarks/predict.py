"""How fast, how large and how seam-free is the prediction of a scene?

    python benchmarks/predict.py memory --side 8000     # one size a process: its largest memory and its time
    python benchmarks/predict.py memory --side 40000
    python benchmarks/predict.py speed                  # against the forward pass alone, and against MONAI
    python benchmarks/predict.py speed --device cuda --side 8192 --rounds 3
    python benchmarks/predict.py rest --side 6144 --window 2048 --batch 4   # all but the network

memory: a generated GeoTIFF (three bands, tiled, a roof every 512 px) goes the whole way - windows, blending,
probability and mask on disk, roofs, GeoJSON - with a stand-in network that reads the red band.

speed: the same network (the default U-Net with random weights, or --run) over one generated scene, turn by turn in one
process, medians of the rounds. "forward" is the predictor alone on the batches that our windows make; "scene" is the
way from the GeoTIFF to stored probabilities with each engine; MONAI's `sliding_window_inference` (1.6, needs
`pip install --no-deps monai`) gets the picture in memory and keeps its result there, with Gaussian weights, channels
last and the same overlap in pixels. Freed memory is kept for all ways, as `Predictor` has it, or with --hand-back for
none, as MONAI's users have it.
rest: the same way from GeoTIFF to stored probabilities with answers that lie ready: what reading, blending and storing
take of each thread, and so how fast a network could be before they hold it up.
Seams: the largest and mean difference to one pass over the whole picture, where one fits.
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio import Affine
from rasterio.windows import Window as GdalWindow

from rooftop.data.prepare import Preparation
from rooftop.export import onnx_logits
from rooftop.inference import Predictor, open_predictor, predictor, sliding_window
from rooftop.inference.sliding_window import Forward, Tiling, predict_windows
from rooftop.inference.unfinished import Canvas
from rooftop.memory import peak_memory
from rooftop.models import UNet
from rooftop.polygons.geojson import write_geojson
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Layers, Shaping, Spool, find_roofs
from rooftop.raster.probability import NODATA, STEP, at_least
from rooftop.raster.scene import ALL_CORES, Scene, open_scene
from rooftop.raster.windows import Window, spans
from rooftop.raster.write import Sheet, write_raster
from rooftop.run import Card, Run, load

SHAPING = Shaping(separate=0.8, tolerance=1.0, angle=20.0, shift=2.0, min_area=10.0, min_hole=3.0)
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
            predict_windows(scene, stand_in, canvas, tiling=tiling, progress=lambda pixels: None)
            predicted = time.monotonic()
            count = outlines(scene, canvas, folder)
        seconds = time.monotonic() - start
    peak = peak_memory() / 2**20
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


def random_run() -> Run:
    """The default U-Net with random weights, as if loaded from a run folder."""
    torch.manual_seed(0)
    choices = {"norm": "batch", "activation": "relu", "dropout": 0.0, "upsampling": "bilinear"}
    network = UNet(in_channels=3, depth=5, width=16, classes=1, **choices).eval()
    preparation = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "size": None}
    return Run(Path("random"), Card({}, preparation, ["roof"], threshold=0.5), network)


def windows_of(height: int, width: int, tiling: Tiling) -> list[Window]:
    """Every window of a scene."""
    rows, columns = (spans(side, tiling.window, tiling.overlap) for side in (height, width))
    return [Window(c.start, r.start, len(c.weights), len(r.weights)) for r in rows for c in columns]


def speed(side: int, tiling: Tiling, device: str, rounds: int, run: Run) -> None:
    """Some ways over one scene, turn by turn."""
    height, width, classes = side, side * 3 // 2, run.card.network.get("classes", 1)
    forwards = {"torch": Predictor(run, device=device).forward}
    if device == "cpu":
        forwards["onnxruntime"] = Predictor(run, logits=onnx_logits(run)).forward
        if run.folder.is_dir():  # random weights lose too much in eight bits
            forwards["int8"] = open_predictor(run, device=device, engine="int8").forward
    results, times = {}, {}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "scene.tif"
        generate(path, height, width, noise=True)
        with open_scene(str(path), cores=ALL_CORES) as scene:
            picture, _ = scene.read(Window(0, 0, width, height))

            def ours(forward: Forward) -> Callable[[], np.ndarray]:
                canvas = Canvas(Path(name) / f"c{time.monotonic_ns()}", (classes, height, width), tiling.ends(height))
                predict_windows(scene, forward, canvas, tiling=tiling, progress=lambda pixels: None)
                return lambda: canvas.read(Window(0, 0, width, height))[0] * STEP + STEP / 2

            ways = {"forward": lambda: forward_only(forwards["torch"], picture, tiling)}
            ways |= {f"scene, {engine}": partial(ours, forward) for engine, forward in forwards.items()}
            ways |= {f"MONAI {roi}": monai(run, device, picture, (roi, tiling)) for roi in (256, tiling.window)}
            for _ in range(rounds + 1):  # the first round warms up and does not count
                for way, call in ways.items():
                    start, used = time.monotonic(), time.process_time()
                    results[way] = call()
                    times.setdefault(way, []).append((time.monotonic() - start, time.process_time() - used))
            report(times, results, forwards["torch"], picture)


def rest(side: int, tiling: Tiling, rounds: int, cores: str) -> None:
    """Reading, blending and storing of one scene, without a network."""
    answers: dict[tuple[int, ...], np.ndarray] = {}
    used: dict[str, float] = {}

    def ready(pictures: np.ndarray) -> np.ndarray:
        shape = len(pictures), 1, *pictures.shape[1:3]
        if shape not in answers:
            answers[shape] = np.random.default_rng(0).random(shape, dtype=np.float32)
        return answers[shape]

    def timed(name: str, call: Callable) -> Callable:
        def run(*arguments):
            start = time.thread_time()
            try:
                return call(*arguments)
            finally:
                used[name] = used.get(name, 0.0) + time.thread_time() - start

        return run

    sliding_window._read, sliding_window._Store.add = (
        timed("read", sliding_window._read),
        timed("store", sliding_window._Store.add),
    )
    predictor.keep_freed_memory()
    megapixels, table = side * side / 1e6, []
    with tempfile.TemporaryDirectory() as name:
        generate(Path(name) / "scene.tif", side, side, noise=True)
        for round_ in range(rounds + 1):  # the first warms up
            used.clear()
            start = time.thread_time()
            with open_scene(str(Path(name) / "scene.tif"), cores=cores) as scene:
                canvas = Canvas(Path(name) / f"c{round_}", (1, side, side), tiling.ends(side))
                predict_windows(scene, ready, canvas, tiling=tiling, progress=lambda pixels: None)
            table.append([used["read"], used["store"], time.thread_time() - start])
    medians = [statistics.median(column) * 1e3 / megapixels for column in zip(*table[1:], strict=True)]
    print("| thread | processor ms a Mpx | Mpx/s it can do |\n|---|---|---|")
    for name, spent in zip(("reading", "blending and storing", "the network's, but for it"), medians, strict=True):
        print(f"| {name} | {spent:.2f} | {1e3 / spent:.0f} |")


def forward_only(forward: Forward, picture: np.ndarray, tiling: Tiling) -> None:
    """The network alone on the batches that our windows make."""
    windows = windows_of(*picture.shape[:2], tiling)
    for i in range(0, len(windows), tiling.batch):
        forward(np.stack([picture[window.slices] for window in windows[i : i + tiling.batch]]))


def monai(run: Run, device: str, picture: np.ndarray, cut: tuple[int, Tiling]) -> Callable:
    """MONAI's sliding window with the same network, as it was trained, and the same overlap in pixels."""
    from monai.inferers import sliding_window_inference

    roi, tiling = cut
    network = copy.deepcopy(run.network).to(device, memory_format=torch.channels_last)
    preparation = Preparation.of(run.card.preparation)

    @torch.inference_mode()
    def call() -> Callable[[], np.ndarray]:
        image = preparation.normalise_batch(torch.from_numpy(picture[None]).to(device))
        with torch.autocast("cuda", torch.bfloat16, enabled=device.startswith("cuda")):
            found = sliding_window_inference(
                image, (roi, roi), 4, lambda x: network(x).sigmoid(), overlap=tiling.overlap / roi, mode="gaussian"
            )
        answer = found.float().cpu().numpy()[0, 0]
        return lambda: answer

    return call


def report(times: dict, results: dict, forward: Forward, picture: np.ndarray) -> None:
    """A table of medians, and the seams of each way."""
    whole = forward(picture[None])[0, 0] if picture.shape[0] <= 4096 else None
    megapixels = picture.shape[0] * picture.shape[1] / 1e6
    medians = {
        way: [statistics.median(column) for column in zip(*found[1:], strict=True)] for way, found in times.items()
    }
    print("| way | s (median) | Mpx/s | processor s | forward / way, s | processor s | seam, largest | mean |")
    print("|---|---|---|---|---|---|---|---|")
    for way, (seconds, used) in medians.items():
        off = None if whole is None or results[way] is None else np.abs(results[way]() - whole)
        seam = "| | " if off is None else f"| {off.max():.4f} | {off.mean():.5f} "
        bound = medians["forward"]
        shares = f"{bound[0] / seconds:.0%} | {bound[1] / used:.0%}"
        print(f"| {way} | {seconds:.2f} | {megapixels / seconds:.3f} | {used:.2f} | {shares} {seam}|")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "speed", "rest"])
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--overlap", type=int, default=96)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--run", help="a run folder for `speed`, instead of the default U-Net with random weights")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", default="ALL_CPUS", help="that unpack blocks in `rest`: 1 shows all of that work")
    parser.add_argument("--hand-back", action="store_true", help="freed memory goes back, as in other programs")
    options = parser.parse_args()
    if options.hand_back:
        predictor.keep_freed_memory = lambda: None
    tiling = Tiling(options.window, options.overlap, options.batch)
    if options.what == "memory":
        memory(options.side, tiling)
    elif options.what == "rest":
        rest(options.side, tiling, options.rounds, options.cores)
    else:
        speed(options.side, tiling, options.device, options.rounds, load(options.run) if options.run else random_run())


if __name__ == "__main__":
    main()
