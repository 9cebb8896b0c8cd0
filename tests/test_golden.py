"""Golden values: the same inputs give the same losses, maps and scores as when the values were stored.

The tests run the scripts as a person does, in processes of their own, on one thread and with the instruction set of
2013 (AVX2), so that most processors compute the same bits. Values are in `tests/golden/*.json`, a file each test.

When a change of behaviour is wanted, store new values and say in the commit why they moved:

    ROOFTOP_GOLDEN=write python -m pytest -n0 -m "slow or not slow" tests/test_golden.py

Losses are compared to 1e-6. Digests, and all other numbers to 1e-9, are compared where processor and packages are those
of the stored values; elsewhere roundings differ, and pixels at a threshold with them, so numbers are compared to 1e-3.

`tests/golden/run` is a run folder of the first format: `train.py model.depth=2 model.width=4`, 20 steps on the embedded
data. It is never made anew: old run folders must load for good.
"""

import csv
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.windows import Window

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
STORED_RUN = GOLDEN / "run"
WRITE = os.environ.get("ROOFTOP_GOLDEN") == "write"
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SAME_BITS = {
    **dict.fromkeys(ONE_THREAD, "1"),
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONPATH": str(ROOT),
}
PACKAGES = ("torch", "numpy", "scipy", "shapely", "rasterio", "pillow", "opencv-python-headless", "simplejpeg")
# of the machine or the moment, not of the result
PASSING = {"run", "versions", "megapixels_per_second", "peak_memory_mb"}

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the values are those of x86 processors"
)


@pytest.fixture
def script(tmp_path):
    """script("predict.py", *overrides) runs it in `tmp_path` with the same bits everywhere."""

    def run(name, *arguments):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(ROOT / name), *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **SAME_BITS},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.fixture
def losses(script, tmp_path):
    """losses(steps, *overrides) trains for that many steps and returns the loss of each."""

    def train(steps, *overrides):
        out = tmp_path / "losses.json"
        where = ("trainer.accelerator=cpu", "data.workers=0", f"data.cache={tmp_path}/cache")
        script("tests/golden/record_losses.py", out, steps, *where, *overrides)
        return json.loads(out.read_text())

    return train


@pytest.fixture
def crop(tmp_path):
    """300 x 410 px of the test area, as a GeoTIFF."""
    window = Window(500, 600, 410, 300)
    with rasterio.open(ROOT / "data" / "banepa" / "test_area.tif") as source:
        values = source.read(window=window)
        ground = {"crs": source.crs, "transform": source.window_transform(window)}
    profile = {"driver": "GTiff", "count": 3, "height": 300, "width": 410, "dtype": "uint8", **ground}
    with rasterio.open(tmp_path / "crop.tif", "w", **profile) as target:
        target.write(values)
    return tmp_path / "crop.tif"


@pytest.fixture
def tiles(tmp_path):
    """tiles(2) is a COCO json of that many test tiles, spread over the test ground."""

    def choose(count):
        coco = json.loads((ROOT / "data" / "banepa" / "annotations" / "test.json").read_text())
        coco["images"] = coco["images"][5::9][:count]
        chosen = {image["id"] for image in coco["images"]}
        coco["annotations"] = [each for each in coco["annotations"] if each["image_id"] in chosen]
        path = tmp_path / "tiles.json"
        path.write_text(json.dumps(coco))
        return path

    return choose


def test_the_default_training_has_the_same_loss_in_each_of_its_first_ten_steps(losses):
    quick = ("data.batch_size=4", "callbacks=quiet", "logger=none")  # all that is not the defaults
    check("train", {"losses": losses(10, *quick)}, losses=1e-6)


def test_a_run_folder_of_the_first_format_goes_on_with_the_same_losses(losses, tmp_path):
    shutil.copytree(STORED_RUN, tmp_path / "run")
    check("resume", {"losses": losses(5, f"resume={tmp_path}/run", "trainer.max_epochs=2")}, losses=1e-6)


def test_a_scene_is_mapped_alike_by_the_weights_that_ship(script, crop, tmp_path):
    out = tmp_path / "out"
    script("predict.py", f"source={crop.name}", "trainer.accelerator=cpu", f"hydra.run.dir={out}")
    check("predict", mapped(out))


@pytest.mark.slow
def test_a_scene_is_mapped_alike_by_a_run_folder_of_the_first_format(script, crop, tmp_path):
    out = tmp_path / "out"
    where = ("trainer.accelerator=cpu", f"hydra.run.dir={out}")
    script("predict.py", f"source={crop.name}", f"run={STORED_RUN}", *where, "tta=flips", "window=192", "overlap=32")
    check("predict_run", mapped(out))


@pytest.mark.slow
def test_a_run_folder_of_the_first_format_has_the_same_scores_on_the_data_of_its_training(script, tiles, tmp_path):
    check("evaluate_run", scored(script, tmp_path, f"run={STORED_RUN}", f"data.test.annotations={tiles(2)}"))


@pytest.mark.slow
def test_the_weights_that_ship_have_the_same_scores(script, tiles, tmp_path):
    check("evaluate", scored(script, tmp_path, "run=pretrained/rooftop-unet", f"data.test.annotations={tiles(4)}"))


PROBABILITY = """
import sys, numpy as np
from rooftop.inference import Predictor
from rooftop.run import load
picture = np.load("picture.npy")
for number, folder in enumerate(sys.argv[1:]):
    np.save(f"{number}.npy", Predictor(load(folder), device="cpu").probability(picture))
"""


def test_loaded_runs_give_a_picture_the_same_probability(crop, tmp_path):
    with rasterio.open(crop) as source:
        picture = np.ascontiguousarray(np.moveaxis(source.read(), 0, -1)[40:141, 70:203])
    np.save(tmp_path / "picture.npy", picture)
    command = (sys.executable, "-c", PROBABILITY, STORED_RUN, ROOT / "pretrained" / "rooftop-unet")
    subprocess.run(list(map(str, command)), cwd=tmp_path, env={**os.environ, **SAME_BITS}, check=True)
    found = {name: np.load(tmp_path / f"{number}.npy") for number, name in enumerate(("stored", "shipped"))}
    assert {each.shape for each in found.values()} == {(2, 101, 133)}
    values = {name: {"values": digest(each.tobytes()), **sums(each.astype(float))} for name, each in found.items()}
    check("probability", values)


def mapped(out):
    """What the files of a prediction hold, without what is of the machine or the moment."""
    with rasterio.open(out / "probability.tif") as dataset:
        probability, profile = dataset.read(), dataset.profile
    mask = np.asarray(Image.open(out / "masks" / "crop.png"))
    roofs = json.loads((out / "roofs.geojson").read_text())
    assert roofs.pop("about")["date"]
    coco = json.loads((out / "predictions.coco.json").read_text())
    corners = [np.array(each["geometry"]["coordinates"][0]) for each in roofs["features"]]
    shown = np.where(probability == profile["nodata"], 0, probability).astype(float)
    return {
        "probability": {
            "dtype": str(probability.dtype),
            "shape": list(probability.shape),
            "crs": str(profile["crs"]),
            "transform": list(profile["transform"]),
            "values": digest(probability.tobytes()),
            **sums(shown),
        },
        "mask": {"shape": list(mask.shape), "values": digest(mask.tobytes()), "roof": int((mask > 0).sum())},
        "roofs": {
            "values": digest(text(roofs)),
            "count": len(corners),
            "corners": sum(len(each) for each in corners),
            "area": sum(each["properties"]["area_m2"] for each in roofs["features"]),
            "confidence": sum(each["properties"]["confidence"] for each in roofs["features"]),
            "middle": np.concatenate(corners).mean(axis=0).tolist(),
        },
        "coco": {"values": digest(text(coco)), "count": len(coco), "score": sum(each["score"] for each in coco)},
        "summary": lasting(json.loads((out / "summary.json").read_text())),
    }


def scored(script, tmp_path, *arguments):
    """The scores of an evaluation, of the whole and of each picture."""
    out = tmp_path / "scored"
    script("evaluate.py", *arguments, "device=cpu", f"data.cache={tmp_path}/cache", f"hydra.run.dir={out}")
    with (out / "per_image.csv").open(newline="") as file:
        rows = [{key: number(value) for key, value in row.items()} for row in csv.DictReader(file)]
    scores, coco = ((out / name).read_text() for name in ("scores.json", "predictions.coco.json"))
    found = json.loads(coco)
    return {
        "scores": lasting(json.loads(scores)),
        "per_image": rows,
        "coco": {"values": digest(text(found)), "count": len(found), "score": sum(each["score"] for each in found)},
    }


def check(name, found, **tolerances):
    """Compare with what is stored under a name, or store it where ROOFTOP_GOLDEN=write asks for it."""
    path = GOLDEN / f"{name}.json"
    here = machine()
    if WRITE:
        path.write_text(json.dumps({"machine": here, **found}, indent=1) + "\n")
        return
    stored = json.loads(path.read_text())
    known = stored.pop("machine")
    moved = {key: f"{known.get(key)} -> {here[key]}" for key in here if known.get(key) != here[key]}
    assert found.keys() == stored.keys()
    wrong = []
    for key in stored:
        tolerance = tolerances.get(key, 1e-3 if moved else 1e-9)
        wrong += differences(stored[key], found[key], key, tolerance, digests=not moved)
    assert not wrong, "\n".join([f"{len(wrong)} values differ (machine: {moved or 'the same'})", *wrong[:20]])


def differences(stored, found, key, tolerance, *, digests):
    """Each place where two trees of values differ, as one line."""
    deeper = {"tolerance": tolerance, "digests": digests}
    if isinstance(stored, dict) and isinstance(found, dict) and stored.keys() == found.keys():
        return [line for name in stored for line in differences(stored[name], found[name], f"{key}.{name}", **deeper)]
    if isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        pairs = enumerate(zip(stored, found, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{key}[{i}]", **deeper)]
    if isinstance(stored, str) and stored.startswith("sha256:") and not digests:
        return []
    if isinstance(stored, int | float) and isinstance(found, int | float):
        # a share or a count may be 0, so the tolerance is absolute up to 1 and relative above
        same = abs(stored - found) <= tolerance * max(1.0, abs(stored))
    else:
        same = stored == found
    return [] if same else [f"{key}: stored {stored!r}, found {found!r}"]


def machine():
    """Processor and packages: where they are equal, so is each bit."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [
        line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "cpu family", "model\t"))
    ]
    return {"processor": ", ".join(names[:3]), **{name: version(name) for name in PACKAGES}}


def lasting(value):
    """The same containers without what is of the machine or the moment."""
    if isinstance(value, dict):
        return {key: lasting(each) for key, each in value.items() if key not in PASSING}
    return [lasting(each) for each in value] if isinstance(value, list) else value


def sums(values):
    """Sums by which a changed or moved value shows, whatever the machine: of values, squares, rows and columns."""
    rows, columns = np.mgrid[: values.shape[-2], : values.shape[-1]]
    weighted = {"sum": values, "squares": values**2, "rows": values * rows, "columns": values * columns}
    return {name: float(each.sum()) for name, each in weighted.items()}


def text(content):
    return json.dumps(content, sort_keys=True).encode()


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def number(value):
    try:
        return float(value)
    except ValueError:
        return value
