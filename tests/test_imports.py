"""Imports run one way; annotations, rasters, polygons and the audit need no torch."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PURE = [name for name in ("coco", "raster", "polygons", "audit") if (ROOT / "rooftop" / name).exists()]


@pytest.mark.parametrize("name", [*PURE, "metrics.pixel", "metrics.boundary", "errors", "files"])
def test_needs_no_torch(name):
    code = f"import sys, rooftop.{name}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("script", ["train", "predict", "evaluate", "export"])
def test_a_mistyped_key_does_not_wait_for_torch(script):
    code = f"import sys, {script}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_layers_hold():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
