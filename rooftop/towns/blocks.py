"""What stands in a block, by its style: one function a style, (sketch, rectangle of the plan) -> None."""

from collections.abc import Callable, Iterator

import numpy as np

from rooftop.towns.houses import build, raise_walls
from rooftop.towns.sketch import Lot, Rect, Sketch, pick
from rooftop.towns.surfaces import linear, surface


def lots(sketch: Sketch, rect: Rect) -> Iterator[Lot]:
    """Two rows of lots back to back along the longer side; a shallow block has one row."""
    along_x = rect.size[0] >= rect.size[1]
    length, depth = rect.size if along_x else rect.size[::-1]
    middle = depth * sketch.between(0.42, 0.58) if depth > 22 else depth
    for near, far, turns in ((0.0, middle, 2), (middle, depth, 0)):
        start = 0.0
        while far - near > 5 and start < length - 4:
            end = start + sketch.between(*sketch.region.lot)
            end = length if length - end < sketch.region.lot[0] else end
            corners = (start, near, end, far) if along_x else (near, start, far, end)
            moved = Rect(rect.x0 + corners[0], rect.y0 + corners[1], rect.x0 + corners[2], rect.y0 + corners[3])
            yield sketch.lot(moved, turns=turns if along_x else 3 - turns // 2 * 2)
            start = end


def suburb(sketch: Sketch, rect: Rect) -> None:
    """Houses in gardens, with drives, cars, pools and sheds."""
    front, walk = sketch.between(4, 8), "paving" if sketch.chance(0.6) else "grass"
    sketch.block(rect, walk)
    for lot in lots(sketch, rect.inset(1.5)):
        sketch.ground(lot.whole, pick(sketch.rng, sketch.region.lots))
        if sketch.chance(sketch.density * 1.1):
            _homestead(sketch, lot, front)
        if sketch.chance(0.6):
            _fence(sketch, lot)
        scatter(sketch, lot, sketch.region.trees, size=1.0)


def _homestead(sketch: Sketch, lot: Lot, front: float) -> None:
    a = min(lot.width / 2 - sketch.between(0.8, 2.5), sketch.between(5, 10))
    b = min(sketch.between(4, 7), lot.depth / 2 - front / 2 - 1.5)
    if min(a, b) < 2.5:
        return
    y = lot.depth / 2 - front - b
    drive = sketch.between(-0.7, 0.7) * (a - 1.5)
    sketch.ground(lot.box(drive, lot.depth / 2 - front / 2, sketch.between(1.4, 2.8), front / 2), "paving")
    build(sketch, lot, (0.0, y, a, b))
    behind = y - b + lot.depth / 2  # metres of garden behind the house
    if sketch.chance(0.45):
        sketch.car(lot, drive, lot.depth / 2 - front / 2, lengthwise=False)
    if behind > 5 and sketch.chance(0.4):
        sketch.ground(lot.box(0, y - b - 1.5, a * sketch.between(0.4, 1), 1.7), "paving")
    if behind > 9 and sketch.chance(sketch.region.pools):
        at = (sketch.between(-0.3, 0.3) * lot.width, -lot.depth / 2 + behind * 0.4)
        sides = (sketch.between(2.5, 4.5), sketch.between(1.5, 2.3))
        sketch.ground(lot.box(*at, sides[0] + 1, sides[1] + 1), "paving")
        sketch.ground(lot.box(*at, *sides), "pool")
    elif behind > 7 and sketch.chance(0.3):
        at = (np.sign(drive) * (lot.width / 2 - 2.5), -lot.depth / 2 + 2.5)
        build(sketch, lot, (*at, sketch.between(1.3, 2.2), sketch.between(1.2, 1.9)), storeys=1)


def _fence(sketch: Sketch, lot: Lot) -> None:
    """A fence, wall or hedge along one side and the back of a lot."""
    tint = linear((70, 84, 52)) if sketch.chance(0.4) else linear((sketch.between(110, 190),) * 3)
    half, height = sketch.between(0.1, 0.35), sketch.between(0.8, 2.0)
    side = np.sign(sketch.between(-1, 1)) * (lot.width / 2 - half)
    sketch.thing(lot.box(side, -lot.depth * 0.15, half, lot.depth * 0.35), height, tint)
    sketch.thing(lot.box(0, -lot.depth / 2 + half, lot.width / 2, half), height, tint)


def rows(sketch: Sketch, rect: Rect) -> None:
    """Houses wall to wall along the street, yards behind."""
    sketch.block(rect, "paving")
    for lot in lots(sketch, rect.inset(0.7)):
        sketch.ground(lot.whole, pick(sketch.rng, sketch.region.lots))
        if not sketch.chance(sketch.density * 1.15):
            scatter(sketch, lot, 1.5, size=0.8)
            continue
        gap = sketch.between(0.3, 1.2) if sketch.chance(0.35) else 0.0
        deep = min(sketch.between(7, 15), lot.depth) / 2
        set_back = min(sketch.between(0, 1.2), max(lot.depth - 2 * deep, 0))
        build(sketch, lot, (0.0, lot.depth / 2 - deep - set_back, lot.width / 2 - gap / 2, deep))
        rest = lot.depth - 2 * deep - set_back
        if rest > 5 and sketch.chance(0.5):
            half = min(rest / 2 - 1, sketch.between(1.5, 4))
            build(sketch, lot, (0.0, -lot.depth / 2 + half, lot.width / 2 * sketch.between(0.5, 1), half), storeys=1)
        elif rest > 4:
            scatter(sketch, lot, sketch.region.trees * 0.8, size=0.8)


def informal(sketch: Sketch, rect: Rect) -> None:
    """Small roofs at any angle on bare ground; those that would touch an earlier one are left out."""
    sketch.block(rect, pick(sketch.rng, sketch.region.lots))
    width, height = rect.size
    taken: list[tuple[float, float, float]] = []
    for _ in range(int(width * height / 55 * sketch.density)):
        x, y = sketch.between(rect.x0, rect.x1), sketch.between(rect.y0, rect.y1)
        a, b = sketch.between(2.5, 7), sketch.between(2, 4)
        radius = float(np.hypot(a, b)) * 0.85
        if any((x - u) ** 2 + (y - v) ** 2 < (radius + r) ** 2 for u, v, r in taken):
            continue
        taken.append((x, y, radius))
        lot = sketch.lot(Rect(x - a, y - b, x + a, y + b), turns=int(sketch.rng.integers(4)))
        tilted = Lot(lot.x, lot.y, lot.angle + sketch.rng.normal(0, 0.25), lot.width, lot.depth)
        build(sketch, tilted, (0.0, 0.0, a, b), storeys=1)
    around = sketch.lot(rect, turns=0)
    scatter(sketch, around, sketch.region.trees * width * height / 350, size=0.9)


def industry(sketch: Sketch, rect: Rect) -> None:
    """Halls, and the rest of the block a car park."""
    sketch.block(rect, "grass" if sketch.chance(0.4) else "gravel")
    lot = sketch.lot(rect.inset(2), turns=0 if rect.size[0] > rect.size[1] else 1)
    sketch.ground(lot.whole, "asphalt" if sketch.chance(0.7) else "paving")
    share = sketch.between(0.35, 0.65)
    halls = int(sketch.rng.integers(1, 4)) if lot.width > 60 else 1
    for i in range(halls):
        if not sketch.chance(sketch.density * 1.3):
            continue
        half = lot.width / halls / 2
        b = lot.depth / 2 * share * sketch.between(0.75, 1)
        kind = "flat" if sketch.chance(0.65) else "gable"
        covering = pick(sketch.rng, {**sketch.region.flats} if kind == "flat" else {"tin": 3, "tin_paint": 1})
        how = (sketch.between(5, 10), surface(sketch.rng, covering))
        place = (-lot.width / 2 + half * (2 * i + 1), -lot.depth / 2 + b + 2, (half - 3) * sketch.between(0.75, 1), b)
        if min(place[2:]) > 3:
            raise_walls(sketch, lot, place, kind, how)
    car_park(sketch, lot, lot.depth * (1 - share) - 5)
    scatter(sketch, lot, 4, size=0.8, strip=(lot.depth / 2 - 3, lot.depth / 2))


def car_park(sketch: Sketch, lot: Lot, depth: float) -> None:
    """Rows of marked places along the street side of a lot, some taken."""
    taken, tint = sketch.between(0.15, 0.8), linear((225, 225, 218))
    y = lot.depth / 2 - 5
    while y > lot.depth / 2 - depth:
        for x in np.arange(-lot.width / 2 + 4, lot.width / 2 - 4, 2.6):
            sketch.thing(lot.box(x - 1.3, y, 0.08, 2.3), 0.0, tint)
            if sketch.chance(taken):
                sketch.car(lot, x, y + sketch.between(-0.3, 0.3), lengthwise=False)
        y -= 5.2 if sketch.chance(0.5) else 11.0


def park(sketch: Sketch, rect: Rect) -> None:
    """Grass, a path, trees in groups, perhaps water."""
    sketch.block(rect, "grass")
    lot = sketch.lot(rect, turns=0)
    if sketch.chance(0.7):
        sketch.ground(lot.box(0, 0, 1.2, lot.depth / 2), "paving")
    if sketch.chance(0.4):
        around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        radius = min(rect.size) * 0.25 * (1 + 0.25 * np.sin(around * 3 + sketch.between(0, 6)))
        ring = np.stack([np.cos(around) * radius * 1.4, np.sin(around) * radius], axis=1)
        sketch.ground(lot.to_world(ring), "water")
    scatter(sketch, lot, lot.width * lot.depth / 120, size=1.3)


def field(sketch: Sketch, rect: Rect) -> None:
    """Strips of crops, trees along the border, now and then a farm."""
    lot = sketch.lot(rect, turns=int(sketch.rng.integers(2)))
    sketch.block(rect, "dry_grass" if sketch.chance(0.5) else "grass")
    edge, crops = -lot.width / 2, ("crop", "stubble", "ploughed", "grass", "dry_grass", "crop")
    while edge < lot.width / 2 - 8:
        end = min(edge + sketch.between(15, 60), lot.width / 2)
        crop = crops[int(sketch.rng.integers(len(crops)))]
        half = (end - edge) / 2
        sketch.ground(lot.box(edge + half, 0, half - 0.6, lot.depth / 2), crop, lot.angle)
        edge = end
    if sketch.chance(0.5 * sketch.density + 0.1):
        x, y = lot.box(sketch.between(-0.3, 0.3) * lot.width, 0, 0, 0)[0].tolist()
        yard = Lot(x, y, lot.angle, 30, 30)
        sketch.ground(yard.box(0, 0, 12, 9), "soil")
        build(sketch, yard, (-5.0, 3.0, sketch.between(3.5, 5), sketch.between(3, 4)))
        build(sketch, yard, (6.5, -3.0, sketch.between(2, 3), sketch.between(3, 5)), storeys=1)
        scatter(sketch, yard, 5, size=1.2)
    scatter(sketch, lot, lot.width / 14, size=1.1, strip=(lot.depth / 2 - 2, lot.depth / 2))


def scatter(sketch: Sketch, lot: Lot, mean: float, *, size: float, strip: tuple[float, float] | None = None) -> None:
    """Trees at random places of a lot, or of a strip of it, `mean` of them on average."""
    low, high = strip or (-lot.depth / 2, lot.depth / 2)
    for _ in range(int(sketch.rng.poisson(mean))):
        ((x, y),) = lot.to_world(np.array([(sketch.between(-0.5, 0.5) * lot.width, sketch.between(low, high))]))
        sketch.tree(float(x), float(y), size)


STYLES: dict[str, Callable[[Sketch, Rect], None]] = {
    "suburb": suburb,
    "rows": rows,
    "informal": informal,
    "industry": industry,
    "park": park,
    "field": field,
}
