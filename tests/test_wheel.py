"""The built wheel, installed into a fresh environment without a checkout, typed in an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("rooftop", "conf", "data/banepa", "pretrained/rooftop-unet")
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt")
SMALL = ("model.depth=2", "model.width=4", "trainer.accelerator=cpu", "callbacks=quiet", "data.workers=0", "pictures=1")
LIMITS = ("trainer.max_epochs=1", *(f"+trainer.limit_{part}_batches=1" for part in ("train", "val", "test")))

pytestmark = pytest.mark.slow


def run(*words, cwd: Path, fails: bool = False, **more: str) -> str:
    """Run a program without the paths of this checkout; returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | more
    done = subprocess.run(
        [*map(str, words)], cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """What a build reads, and nothing else: the build leaves no file in the checkout."""
    folder = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(sources, tmp_path_factory) -> Path:
    """The wheel, built from the archive of the sources, as a package index would."""
    pytest.importorskip("setuptools", "77", reason="the build needs setuptools>=77")
    folder = tmp_path_factory.mktemp("dist")
    archive = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    run(sys.executable, "-c", archive, folder, cwd=sources)
    (packed,) = folder.glob("*.tar.gz")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder, packed, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel, tmp_path_factory) -> Path:
    """The command `rooftop` of a fresh environment, which borrows the libraries of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (there,) = folder.glob("lib/python*/site-packages")
    (there / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-deps", "--force-reinstall", "--prefix", folder, wheel, cwd=folder)
    found = run(python, "-c", "import rooftop; print(rooftop.__file__)", cwd=folder).strip()
    assert Path(found).is_relative_to(folder)
    return folder / "bin" / "rooftop"


def test_the_wheel_contains_configurations_weights_and_data(wheel):
    import zipfile

    names = {*zipfile.ZipFile(wheel).namelist()}
    for folder in ("conf", "data/banepa", "pretrained/rooftop-unet"):
        here = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        made_here = {name for name in here if name.endswith("int8.onnx")}  # by predict.py engine=int8
        assert {f"rooftop/included/{name}" for name in here - made_here} <= names
        assert not made_here & {name.removeprefix("rooftop/included/") for name in names}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "rooftop").rglob("*.py")}
    assert modules <= names
    assert {"rooftop/py.typed", "rooftop/polygons/style.qml", "rooftop/html/templates/base.html"} <= names
    assert not any("__pycache__" in name or name.startswith("tests/") for name in names)
    assert wheel.stat().st_size < 25e6


def test_predict_from_an_empty_folder_with_the_included_weights(command, tmp_path):
    shutil.copy(next((ROOT / "data" / "banepa" / "images" / "test").iterdir()), tmp_path / "city.jpg")
    text = run(command, "predict", "source=city.jpg", "trainer.accelerator=cpu", "hydra.run.dir=out", cwd=tmp_path)
    assert "1 pictures" in text
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["roofs"] > 10
    assert not Path(summary["run"]).is_relative_to(ROOT)


def test_train_on_the_included_data_with_a_configuration_of_ones_own(command, tmp_path):
    (tmp_path / "mine" / "loss").mkdir(parents=True)
    (tmp_path / "mine" / "loss" / "mine.yaml").write_text("_target_: rooftop.losses.BCE\n")
    own = ("loss=mine", "--config-dir", "mine")
    text = run(command, "train", *SMALL, *LIMITS, "hydra.run.dir=out", *own, cwd=tmp_path)
    assert "next:        rooftop predict run=out source=" in text
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["data"]["name"] == "banepa"
    assert card["git"] is None
    assert "_target_: rooftop.losses.BCE" in (tmp_path / "out" / ".hydra" / "config.yaml").read_text()


def test_two_processes_from_the_command(command, tmp_path):
    shutil.copy(ROOT / "data" / "banepa" / "test_area.tif", tmp_path / "city.tif")
    two = ("trainer.accelerator=cpu", "trainer.devices=2", "window=256")
    text = run(command, "predict", "source=city.tif", *two, "hydra.run.dir=out", cwd=tmp_path, OMP_NUM_THREADS="1")
    assert "1 pictures" in text
    assert (tmp_path / "out" / "roofs.gpkg").is_file()


def test_mistakes_are_one_sentence(command, tmp_path):
    assert run(command, "predict", "sorce=a.tif", cwd=tmp_path, fails=True).startswith("error: unknown configuration")
    assert not [*tmp_path.iterdir()]
    assert run(command, "predict", "source=a.tif", "run=mine", cwd=tmp_path, fails=True).startswith("error: ")
