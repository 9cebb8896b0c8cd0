"""Pictures for people, as uint8 RGB arrays: overlays, panels, contact sheets, error maps.

Colours of error maps are readable for colour-blind people (Okabe and Ito 2008, "Color Universal Design"); they also
differ in lightness.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

Array = NDArray[np.uint8]
ROOF = (255, 140, 0)  # orange stands out from vegetation, soil and water, and for colour-blind people too
GAP, PAPER, INK = 6, 255, (40, 40, 40)


def overlay(picture: Array, mask: Array, *, colour: tuple[int, int, int] = ROOF, strength: float = 0.4) -> Array:
    """Lay a mask over a picture: tinted inside, with a one-pixel outline.

    Args:
        picture: uint8 (H, W, 3).
        mask: (H, W), non-zero = roof.
        colour: RGB of the tint.
        strength: of the tint, in [0, 1].

    Returns:
        uint8 (H, W, 3).
    """
    inside = np.asarray(mask) > 0
    outline = inside & ~ndimage.binary_erosion(inside)
    result = picture.astype(np.float32)
    result[inside] += strength * (np.array(colour, np.float32) - result[inside])
    result[outline] = colour
    tinted: Array = result.round().astype(np.uint8)
    return tinted


def black_white(mask: Array) -> Array:
    """A mask (H, W) of 0 and 1 as uint8 (H, W, 3), white = roof."""
    return np.repeat((np.asarray(mask, np.uint8) * 255)[..., None], 3, axis=-1)


def grey(probability: NDArray[np.float32]) -> Array:
    """A probability (H, W) in [0, 1] as uint8 (H, W, 3)."""
    return np.repeat((probability.clip(0, 1) * 255).round().astype(np.uint8)[..., None], 3, axis=-1)


def grid(rows: Sequence[Sequence[Array]], *, titles: Sequence[str] = (), labels: Sequence[str] = ()) -> Array:
    """Set pictures out in rows and columns on white.

    Args:
        rows: uint8 (H, W, 3) pictures, possibly none; every cell gets the size of the largest.
        titles: one line above each column.
        labels: one line in front of each row.

    Returns:
        uint8 (H', W', 3).
    """
    height = max((cell.shape[0] for row in rows for cell in row), default=0)
    width = max((cell.shape[1] for row in rows for cell in row), default=0)
    columns = max(len(row) for row in rows)
    top, left = (18 if titles else 0), (64 if labels else 0)
    sheet = Image.new(
        "RGB", (left + columns * (width + GAP) + GAP, top + len(rows) * (height + GAP) + GAP), (PAPER,) * 3
    )
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for r, row in enumerate(rows):
        y = top + GAP + r * (height + GAP)
        if r < len(labels):
            pen.text((GAP, y + height // 2), labels[r], fill=INK, font=font)
        for c, cell in enumerate(row):
            sheet.paste(Image.fromarray(cell), (left + GAP + c * (width + GAP), y))
    for c, title in enumerate(titles[:columns]):
        pen.text((left + GAP + c * (width + GAP), 3), _fit(title, width), fill=INK, font=font)
    return np.asarray(sheet)


def panel(picture: Array, truth: Array, probability: NDArray[np.float32], *, threshold: float) -> Array:
    """Picture, truth, prediction and errors side by side; both masks as overlays.

    Args:
        picture: uint8 (H, W, 3).
        truth: (H, W) of 0 and 1.
        probability: float32 (H, W).
        threshold: probability from which a pixel counts as roof.
    """
    predicted = (probability >= threshold).astype(np.uint8)
    row = [picture, overlay(picture, truth), overlay(picture, predicted), error_map(picture, truth, predicted)]
    return grid([row], titles=("picture", "truth", "prediction", "hit blue, missed yellow, false red"))


class ContactSheet:
    """Three rows - picture, mask, overlay - one column a picture.

    Args:
        cell: longest side of a cell in pixels; larger pictures are shrunk when added, to save memory.
    """

    def __init__(self, *, cell: int = 256) -> None:
        self.cell = cell
        self.names: list[str] = []
        self.rows: tuple[list[Array], list[Array], list[Array]] = ([], [], [])

    def add(self, name: str, picture: Array, mask: Array) -> None:
        """Add a column: picture uint8 (H, W, 3), mask (H, W) of 0 and 1."""
        self.names.append(name)
        for row, pixels in zip(self.rows, (picture, black_white(mask), overlay(picture, mask)), strict=True):
            row.append(shrink(pixels, self.cell))

    def extend(self, other: "ContactSheet") -> None:
        """Add the columns of another sheet."""
        self.names += other.names
        for row, more in zip(self.rows, other.rows, strict=True):
            row += more

    def draw(self) -> Array:
        """The sheet, uint8 (H, W, 3)."""
        return grid(self.rows, titles=self.names, labels=("picture", "mask", "overlay"))


def shrink(pixels: Array, most: int) -> Array:
    """Shrink uint8 (H, W, 3) to at most `most` pixels per side; smaller ones stay."""
    height, width = pixels.shape[:2]
    scale = most / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _fit(text: str, width: int) -> str:
    most = max(4, width // 6)
    return text if len(text) <= most else f"{text[: most - 2]}.."


Mask = NDArray[np.uint8]

HIT, MISS, FALSE = (86, 180, 233), (240, 228, 66), (213, 94, 0)  # sky blue, yellow, vermilion
UNJUDGED = (150, 150, 150)
OUTLINE = (0, 0, 0)


def error_map(picture: Array, mask: Mask, prediction: Mask, valid: NDArray[np.bool_] | None = None) -> Array:
    """Tint hits blue, missed roofs yellow and false roofs vermilion, on the picture in pale grey.

    Args:
        picture: uint8 (H, W, 3).
        mask: truth (H, W), 1 = roof.
        prediction: (H, W), 1 = roof.
        valid: bool (H, W), False for pixels not judged: they stay grey; None: all are judged.

    Returns:
        uint8 (H, W, 3).
    """
    true, said = mask > 0, prediction > 0
    grey = picture.astype(np.float32).mean(axis=-1, keepdims=True) * 0.55 + 90
    result = np.repeat(grey, 3, axis=-1)
    for where, colour in ((true & said, HIT), (true & ~said, MISS), (~true & said, FALSE)):
        result[where] += 0.75 * (np.array(colour, np.float32) - result[where])
    if valid is not None:
        result[~valid] = UNJUDGED
    tinted: Array = result.round().clip(0, 255).astype(np.uint8)
    return tinted


def roof_by_roof(picture: Array, labels: NDArray[np.int32], colour: tuple[int, int, int]) -> Array:
    """Tint roofs and outline each one: touching roofs stay distinct.

    Args:
        picture: uint8 (H, W, 3).
        labels: int32 (H, W), 0 = no roof.
        colour: RGB.

    Returns:
        uint8 (H, W, 3).
    """
    around = np.pad(labels, 1)
    sides = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    edge = (labels > 0) & np.any([side != labels for side in sides], axis=0)
    result = picture.astype(np.float32)
    result[labels > 0] += 0.3 * (np.array(colour, np.float32) - result[labels > 0])
    result[edge] = colour
    drawn: Array = result.round().astype(np.uint8)
    return drawn


def outlined(picture: Array, mask: Mask) -> Array:
    """Draw the outline of a mask (H, W) in black over a picture (H, W, 3), to point one roof out."""
    solid = np.pad(mask > 0, 1)
    around = solid[:-2, 1:-1] & solid[2:, 1:-1] & solid[1:-1, :-2] & solid[1:-1, 2:]
    drawn: Array = picture.copy()
    drawn[(mask > 0) & ~around] = OUTLINE
    return drawn
