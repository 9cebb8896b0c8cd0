"""A data set in a form that rooftop does not know: a CSV table of boxes."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image
from rooftop.coco import CocoObject
from rooftop.data.sources import Source


class Boxes(Source):
    """A folder of pictures, and a table with a row for each roof: file, left, top, width, height, in pixels.

    Args:
        images: the split's folder of pictures.
        annotations: the split's table.
        grow: pixels added to each side of a box.
    """

    def __init__(self, images: Path, annotations: Path, *, grow: int = 0) -> None:
        with annotations.open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.folder, self.names = images, sorted({row["file"] for row in rows})
        self.categories = ("building",)
        sides = ("left", "top", "width", "height")
        boxes = [(row["file"], *(int(row[side]) for side in sides)) for row in rows]
        self.boxes = [
            [(x - grow, y - grow, w + 2 * grow, h + 2 * grow) for file, x, y, w, h in boxes if file == name]
            for name in self.names
        ]
        self.sizes = np.array([self.picture(i).shape[:2] for i in range(len(self.names))])

    def picture(self, i: int) -> np.ndarray:
        """Picture, uint8 (H, W, 3)."""
        with Image.open(self.folder / self.names[i]) as file:
            return np.array(file.convert("RGB"))

    def truth(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Mask uint8 (1, H, W), 1 = roof, and valid bool (H, W): all pixels are judged."""
        mask = np.zeros((1, *self.sizes[i]), np.uint8)
        for x, y, width, height in self.boxes[i]:
            mask[0, max(y, 0) : y + height, max(x, 0) : x + width] = 1
        return mask, np.ones(mask.shape[1:], bool)

    def objects(self, i: int) -> list[list[CocoObject]]:
        """Return the roofs of the one category, for scores of objects: touching boxes are two roofs. Optional."""
        roofs = []
        for number, (x, y, w, h) in enumerate(self.boxes[i], start=1):
            ring = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], float)
            roofs.append(CocoObject(number, 1, is_crowd=False, area=float(w * h), rings=[ring], rle=None))
        return [roofs]
