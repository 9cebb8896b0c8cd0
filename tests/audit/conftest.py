"""A healthy data set of three splits, into which tests plant faults."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rooftop.audit import Split, audit_splits
from rooftop.coco import open_index

HEIGHT, WIDTH = 48, 80


def scene(seed: int) -> np.ndarray:
    """A smooth picture (48, 80, 3) that resembles no other."""
    coarse = np.random.default_rng(seed).integers(30, 220, (6, 9, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


class Planted:
    """A data set on disk; `documents` are written by `audit`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.documents = {}
        for number, split in enumerate(("test", "val", "train")):
            (root / split).mkdir(parents=True)
            self.documents[split] = {"images": [], "annotations": [], "categories": [{"id": 100, "name": "building"}]}
            for i in range(6):
                self.add_picture(split, f"{split}_{i}.png", scene(10 * number + i))
                self.add_annotation(split, i + 1)

    def add_picture(self, split: str, name: str, pixels: np.ndarray, **fields) -> int:
        Image.fromarray(pixels).save(self.root / split / name)
        return self.add_entry(split, name, height=pixels.shape[0], width=pixels.shape[1], **fields)

    def add_entry(self, split: str, name: str, **fields) -> int:
        images = self.documents[split]["images"]
        entry = {"id": len(images) + 1, "file_name": name, "height": HEIGHT, "width": WIDTH} | fields
        images.append(entry)
        return entry["id"]

    def add_annotation(self, split: str, image: int, **fields) -> int:
        annotations = self.documents[split]["annotations"]
        x = 3 + len(annotations) % 40
        entry = {
            "id": len(annotations) + 1,
            "image_id": image,
            "category_id": 100,
            "segmentation": [[x, 5, x + 12, 5, x + 12, 25, x, 25]],
            "area": 240.0,
            "bbox": [x, 5, 12, 20],
            "iscrowd": 0,
        }
        annotations.append(entry | fields)
        return entry["id"]

    def splits(self) -> list[Split]:
        found = []
        for split, document in self.documents.items():
            path = self.root / f"{split}.json"
            path.write_text(json.dumps(document))
            found.append(Split(split, self.root / split, index=open_index(path, cache=self.root / "cache")))
        return found

    def audit(self, **options):
        splits = self.splits()
        return splits, audit_splits(splits, self.root / "store", **options)

    def counts(self, **options) -> dict[tuple[str, str], int]:
        """How many of each (split, kind) were found."""
        splits, _ = self.audit(**options)
        return {(s.name, kind): s.findings.count(kind) for s in splits for kind in s.findings.plain()}


@pytest.fixture
def planted(tmp_path) -> Planted:
    return Planted(tmp_path / "set")
