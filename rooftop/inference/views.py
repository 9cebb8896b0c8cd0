"""Test-time augmentation, rescaling and windowed inference around one network."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage

from rooftop.inference.sliding_window import Blender, Forward
from rooftop.raster.windows import WHOLE, Span, Window, spans
from rooftop.run import Card

Array = NDArray[np.generic]
_ALIKE = 0.1  # relative difference of two ground sampling distances that needs no scaling
View = tuple[int, bool, float]  # quarter turns, mirrored after them, scale
Scale = float | tuple[float, float]  # of both sides, or of (height, width)
_FLIPS: tuple[View, ...] = tuple((turns, mirror, 1.0) for turns in (0, 2) for mirror in (False, True))
VIEWS: dict[str, tuple[View, ...]] = {
    "flips": _FLIPS,
    "d4": (*_FLIPS, *((turns, mirror, 1.0) for turns in (1, 3) for mirror in (False, True))),
    "scales": tuple((turns, mirror, size) for size in (0.75, 1.0, 1.3) for turns, mirror, _ in _FLIPS),
}
"""`flips` keep height and width; `d4`: the eight symmetries of a square; `scales`: the flips at three sizes."""
_LARGE = "large"
CHOICES = (*VIEWS, _LARGE)
"""Names of test-time augmentation: those of `VIEWS`, averaged, and `large`, see `large_roofs`."""
_HALF = 0.5  # scale of the view for large roofs
_SIDE = 21  # side of the square that a large roof contains, in pixels of that view: 12.6 m if trained at 0.3 m
_LEAST = 0.004  # probabilities stay this far from 0 and 1, so that neither view decides alone


def scale_factor(gsd: float | None, card: Card) -> float | None:
    """Return the scale that brings pictures of `gsd` metres per pixel to the resolution of a run's training.

    Returns:
        None: no scaling, since one of the two is unknown, they differ by a tenth or less, or the run resizes every
        picture to a fixed size.
    """
    if card.preparation["size"] is not None or not gsd or not card.gsd or abs(gsd / card.gsd - 1) <= _ALIKE:
        return None
    return gsd / card.gsd


def magnified(views: str | None) -> float:
    """Return the scale of the largest view, 1 or more."""
    return max((size for _, _, size in VIEWS.get(views or "", ())), default=1.0)


def with_views(forward: Forward, *, factor: Scale | None, views: str | None) -> Forward:
    """Wrap a network in rescaling (`rescaled`) and test-time augmentation, as far as they are wanted.

    Args:
        forward: the network.
        factor: see `rescaled`; None: not scaled.
        views: one of `CHOICES`; None: one view.
    """
    if views == _LARGE:
        return with_views(large_roofs(forward), factor=factor, views=None)
    if views:
        return averaged(forward, views, factor=factor or 1.0)
    return rescaled(forward, factor) if factor else forward


def averaged(forward: Forward, views: str, *, factor: Scale = 1.0) -> Forward:
    """Average the probability over several views of each picture, each turned back (test-time augmentation).

    Args:
        forward: the network.
        views: a key of `VIEWS`: flips (4), d4 (8) or scales (12).
        factor: extra scale, see `rescaled`; a view is scaled once, by the product.
    """

    def run(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers = _view_by_view(forward, pictures, VIEWS[views], factor)
        total = next(answers).astype(np.float64)  # float64: the mean of equal values is that value
        for answer in answers:
            total += answer
        return np.asarray(total / len(VIEWS[views]), dtype=np.float32)

    return run


def large_roofs(forward: Forward) -> Forward:
    """Fill large roofs from a second view of the pictures at half the size. Outlines and small roofs stay.

    A network sees some tens of metres. Inside a hall or under solar panels no edge of the roof is in sight; at half the
    size one is. Where the second view finds a square of `_SIDE` pixels (grey opening, Serra 1982), the probability
    rises to the pool of both, the mean of their log odds (Genest and Zidek 1986): the first view is overruled where it
    doubts, not where it is sure. The usual mean over sizes loses small roofs and gaps; weights for each pixel need a
    network trained for them (Tao et al. 2020, arXiv 2005.10821).

    Each channel by itself. A pixel depends on the pixels within `4 * _SIDE` and on what the network sees of them.

    Args:
        forward: the network, at the metres per pixel of its training; it sees a quarter more pixels.
    """

    def run(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        fine = forward(pictures)
        inside = ndimage.grey_opening(forward(_scaled(pictures, _HALF)), size=(1, 1, _SIDE, _SIDE))
        return np.maximum(fine, _pooled(fine, _enlarged(inside, (pictures.shape[1], pictures.shape[2]))))

    return run


def rescaled(forward: Forward, factor: Scale) -> Forward:
    """Scale the pictures by `factor` for the network, and its probability back.

    Args:
        forward: the network, trained at one ground sampling distance.
        factor: metres per pixel of the pictures over metres per pixel of the training; below 1 shrinks.
    """

    def run(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        return _enlarged(forward(_scaled(pictures, factor)), (pictures.shape[1], pictures.shape[2]))

    return run


def windowed(forward: Forward, *, window: int = 1024, overlap: int = 96, whole: int = WHOLE) -> Forward:
    """Predict pictures of more than `whole` pixels window by window, blended like a scene.

    Args:
        forward: the network; its memory grows with the picture.
        window: side of a window in pixels.
        overlap: of neighbouring windows in pixels.
        whole: largest number of pixels for one pass.
    """

    def run(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        height, width = pictures.shape[1:3]
        if height * width <= whole:
            return forward(pictures)
        rows, columns = spans(height, window, overlap), spans(width, window, overlap)
        return np.stack([_blended(forward, picture, rows, columns) for picture in pictures])

    return run


def _blended(
    forward: Forward, picture: NDArray[np.uint8], rows: list[Span], columns: list[Span]
) -> NDArray[np.float32]:
    blender, answer = None, np.zeros((0, *picture.shape[:2]), np.float32)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            seen = Window(column.start, row.start, len(column.weights), len(row.weights))
            probability = forward(picture[seen.slices][None])[0]
            if blender is None:
                blender = Blender(rows, columns, len(probability))
                answer = np.zeros((len(probability), *picture.shape[:2]), np.float32)
            down, across = blender.final(i, j).slices
            answer[:, down, across] = blender.add(i, j, probability)
    return answer


def _view_by_view(
    forward: Forward,
    pictures: NDArray[np.uint8],
    views: tuple[View, ...],
    factor: Scale,
) -> Iterator[NDArray[np.float32]]:
    for turns, mirror, size in views:
        view = np.rot90(pictures, turns, (1, 2))
        down, across = _of_sides(factor)[:: -1 if turns % 2 else 1]
        scale = size * down, size * across
        run = forward if scale == (1, 1) else rescaled(forward, scale)
        # a copy: at a side of one pixel numpy calls any stride contiguous, torch does not
        answer = run((view[:, :, ::-1] if mirror else view).copy())
        back = answer[..., ::-1] if mirror else answer
        yield np.rot90(back, -turns, (2, 3))


def _pooled(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability whose log odds are the mean of those of two probabilities."""
    inner = 1 - 2 * _LEAST
    one, other = _LEAST + inner * one, _LEAST + inner * other
    yes, no = np.sqrt(one * other), np.sqrt((1 - one) * (1 - other))
    return np.asarray((yes / (yes + no) - _LEAST) / inner, dtype=np.float32)


def _scaled(pictures: NDArray[np.uint8], factor: Scale) -> NDArray[np.uint8]:
    down, across = _of_sides(factor)
    sides = (max(1, round(pictures.shape[1] * down)), max(1, round(pictures.shape[2] * across)))
    batch = np.empty((len(pictures), *sides, pictures.shape[-1]), np.uint8)
    for band in range(pictures.shape[-1]):  # band by band: as floats, all together would need the most memory
        floats = torch.from_numpy(pictures[..., band].astype(np.float32))[:, None]
        batch[..., band] = _resized(floats, sides)[:, 0].round().clamp(0, 255).byte().numpy()
    return batch


def _enlarged(probability: NDArray[np.float32], sides: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(_resized(torch.from_numpy(probability), sides).numpy(), dtype=np.float32)


def _of_sides(factor: Scale) -> tuple[float, float]:
    return factor if isinstance(factor, tuple) else (factor, factor)


def _resized(batch: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(batch, size=size, mode="bilinear", antialias=True, align_corners=False)
