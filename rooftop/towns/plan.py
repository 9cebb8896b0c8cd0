"""A town from a seed: streets, blocks between them, and what stands there."""

from collections.abc import Iterator, Sequence

import numpy as np

from rooftop.towns.blocks import STYLES
from rooftop.towns.kinds import Town
from rooftop.towns.regions import REGIONS, Region
from rooftop.towns.sketch import Bend, Lot, Rect, Sketch, pick
from rooftop.towns.surfaces import surface

BEYOND = 35.0  # metres planned around the ground that is asked for: shadows and cut houses come from there


def plan(seed: Sequence[int], width: float, height: float, *, density: float) -> Town:
    """Plan a town.

    The same seed and size give the same town; only the last bit of a coordinate may differ between machines.

    Args:
        seed: whole numbers.
        width: of the ground in metres.
        height: of the ground in metres.
        density: share of the lots that are built on, in [0, 1].
    """
    rng = np.random.default_rng([*seed, 0])
    region = REGIONS[pick(rng, {name: region.weight for name, region in REGIONS.items()})]
    town = Town(width, height, surface(rng, pick(rng, region.streets)))
    angle, sway = rng.uniform(0, np.pi), rng.uniform(0, 0.25)
    (l0, p0), (l1, p1) = ((rng.uniform(180, 420), rng.uniform(0, 6.3)) for _ in range(2))
    bend = Bend(angle, (width / 2, height / 2), ((sway * l0 / 6.3, l0, p0), (sway * l1 / 6.3, l1, p1)))
    sketch = Sketch(rng, town, region, bend=bend, density=density)
    reach = float(np.hypot(width, height)) / 2 + BEYOND + 0.25 * 420 / 6.3
    shift = rng.uniform(0, region.block[1], 2)
    whole = Rect(-reach - shift[0], -reach - shift[1], reach, reach)
    for rect in cut(rng, whole, region):
        _fill(sketch, rect)
    return town


def cut(rng: np.random.Generator, rect: Rect, region: Region) -> Iterator[Rect]:
    """Blocks between streets: halved again and again across the longer side, until none is long enough."""
    long, short = max(rect.size), min(rect.size)
    if long <= rng.uniform(*region.block) or (long < 1.6 * short and short < region.block[0] * 0.7):
        yield rect
        return
    wide = rng.uniform(*region.street) * (1.3 if long > 4 * region.block[1] else 1.0) / 2
    at = rng.uniform(0.36, 0.64)
    if rect.size[0] >= rect.size[1]:
        x = rect.x0 + at * long
        halves = Rect(rect.x0, rect.y0, x - wide, rect.y1), Rect(x + wide, rect.y0, rect.x1, rect.y1)
    else:
        y = rect.y0 + at * long
        halves = Rect(rect.x0, rect.y0, rect.x1, y - wide), Rect(rect.x0, y + wide, rect.x1, rect.y1)
    for half in halves:
        yield from cut(rng, half, region)


def _fill(sketch: Sketch, rect: Rect) -> None:
    """One block, unless it lies beyond the ground."""
    here = sketch.lot(rect, turns=0)
    radius = float(np.hypot(*rect.size)) / 2 + BEYOND
    inside = -radius < here.x < sketch.town.width + radius and -radius < here.y < sketch.town.height + radius
    if not inside or min(rect.size) < 4:
        return
    STYLES[pick(sketch.rng, sketch.region.styles)](sketch, rect)
    _parked(sketch, rect, here)


def _parked(sketch: Sketch, rect: Rect, here: Lot) -> None:
    """Cars along two sides of a block."""
    if sketch.region.street[0] < 5:  # too narrow to stop
        return
    for _ in range(int(sketch.rng.poisson(sum(rect.size) / 40))):
        side, x = (1 if sketch.chance(0.5) else -1), sketch.between(-0.45, 0.45) * here.width
        spot = sketch.lot(Rect(*_around(rect, x, side)), turns=0)
        sketch.car(spot, 0.0, 0.0, lengthwise=True)


def _around(rect: Rect, x: float, side: int) -> tuple[float, float, float, float]:
    """A place for a car beside the upper or lower side of a block."""
    x, y = (rect.x0 + rect.x1) / 2 + x, rect.y1 + 1.6 if side > 0 else rect.y0 - 1.6
    return x - 2, y - 1, x + 2, y + 1
