"""Imports run one way; what works on annotations, rasters and polygons needs no torch.

The contracts are those of pyproject.toml. What they have to protect is named here once more, so that neither they nor
these tests can shrink unseen.
"""

import importlib.util
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.api import read_configuration

import rooftop

ROOT = Path(__file__).parents[1]
PURE = ("audit", "coco", "html", "polygons", "raster", "tiling", "towns")  # packages without torch
PURE_PARTS = ("metrics.pixel", "metrics.boundary")  # of packages that have torch elsewhere
TORCH = {"torch", "pytorch_lightning", "torchmetrics"}
# libraries behind one door, named here too: no contract can go unseen
DOORS = {
    *(
        "albumentations",
        "cv2",
        "geopandas",
        "hydra",
        "jinja2",
        "matplotlib",
        "omegaconf",
        "onnx",
        "onnxruntime",
        "pycocotools",
    ),
    *("pyogrio", "pyproj", "rasterio", "safetensors", "simplejpeg"),
}
SCRIPTS = sorted(path.stem for path in ROOT.glob("*.py") if path.stem != "setup")


def modules() -> list[str]:
    """Every module of the package by its full name, as Python finds it."""
    return ["rooftop", *(found.name for found in pkgutil.walk_packages(rooftop.__path__, "rooftop."))]


def of(*names: str) -> list[str]:
    """The modules of some packages, themselves included."""
    inside = [f"rooftop.{name}" for name in names]
    return [name for name in modules() if any(f"{name}.".startswith(f"{each}.") for each in inside)]


def contracts(kind: str) -> list[dict]:
    """The contracts of one kind in pyproject.toml."""
    configuration = read_configuration(str(ROOT / "pyproject.toml"))
    assert configuration["session_options"]["root_packages"] == ["rooftop"]
    assert configuration["session_options"]["include_external_packages"] in (True, "true", "True")
    return [each for each in configuration["contracts_options"] if each["type"] == kind]


def in_python(code: str) -> subprocess.CompletedProcess:
    """Run some code in a new interpreter."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_file_is_a_module_that_python_finds():
    """A folder without `__init__.py` would be left out by the contracts, by mypy and by these tests."""
    files = {
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in ROOT.glob("rooftop/**/*.py")
    }
    assert {name.removesuffix(".__init__") for name in files} == set(modules())


def test_every_module_can_be_imported():
    code = f"""
import importlib, sys
for name in {modules()}:
    try:
        importlib.import_module(name)
    except Exception as error:
        sys.exit(f"{{name}}: {{error!r}}")
"""
    done = in_python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [*PURE, *PURE_PARTS, "errors", "files"])
def test_needs_no_torch(name):
    assert importlib.util.find_spec(f"rooftop.{name}"), f"rooftop.{name} has moved; follow it here"
    code = f"""
import importlib, sys
for name in {of(name)}:
    importlib.import_module(name)
    if {TORCH} & sys.modules.keys():
        sys.exit(f"{{name}} has imported torch")
"""
    done = in_python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_mistyped_key_does_not_wait_for_torch(script):
    done = in_python(f"import sys, {script}; sys.exit('torch' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_the_scripts_are_found():
    assert {"train", "predict", "evaluate", "export"} <= set(SCRIPTS)


def test_layers_hold():
    done = in_python("from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports())")
    assert done.returncode == 0, done.stdout


def test_the_layers_name_every_module_at_the_top():
    layers = [each for each in contracts("layers") if "rooftop" in each.get("containers", [])]
    assert len(layers) == 1
    assert layers[0]["exhaustive"] in (True, "true", "True")
    assert not layers[0].get("exhaustive_ignores")
    named = {part.strip(" ()") for layer in layers[0]["layers"] for part in layer.replace(":", "|").split("|")}
    assert named >= {name.split(".")[1] for name in modules() if name.count(".") == 1}


def test_no_contract_lets_an_import_through():
    for kind in ("layers", "forbidden", "independence", "acyclic_siblings", "protected"):
        assert not [each["name"] for each in contracts(kind) if each.get("ignore_imports")]


def test_the_contract_without_torch_covers_what_it_has_to():
    covered = {
        source
        for each in contracts("forbidden")
        if set(each["forbidden_modules"]) >= TORCH and each.get("allow_indirect_imports") in (None, False, "false")
        for source in each["source_modules"]
    }
    parents = {source.removesuffix(".**").removesuffix(".*") for source in covered}
    for name in (*PURE, *PURE_PARTS):
        assert any(f"rooftop.{name}.".startswith(f"{each}.") for each in parents), f"rooftop.{name} is not covered"


def test_each_library_keeps_its_door():
    named = {library for each in contracts("protected") for library in each["protected_modules"]}
    assert not DOORS - named
