"""The audit looks at whatever the reader accepts, however odd, and never fails itself."""

import json

import numpy as np
import pytest
from PIL import Image

from rooftop.audit import Split, audit_splits, summary, write_fixed, write_report
from rooftop.coco import open_index
from rooftop.errors import RooftopError
from tests.coco.test_fuzz import mutated


def look(folder, seeds):
    images, path = folder / "images", folder / "annotation.json"
    (images / "a").mkdir(parents=True)
    for name in ("1.jpg", "a/b.png"):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 80, 3)).astype(np.uint8)).save(images / name)
    looked = 0
    for seed in seeds:
        path.write_bytes(mutated(seed))
        try:
            index = open_index(path, cache=folder / "cache")
        except RooftopError:
            continue
        if (index.sizes.astype(float).prod(axis=1) > 1e6).any():
            continue  # drawn, as the reader's own test does; here it would only take time
        splits = [Split("train", images, index=index)]
        pairs = audit_splits(splits, folder / "store")
        json.dumps(summary(splits), allow_nan=False)
        write_report(folder / "report.html", "odd", splits)
        write_fixed(folder / "fixed", splits, pairs)
        looked += 1
    return looked


def test_some_mutated_files(tmp_path):
    assert look(tmp_path, range(150)) > 15  # else the mutations are too strong


@pytest.mark.slow
def test_many_mutated_files(tmp_path):
    assert look(tmp_path, range(150, 4000)) > 385
