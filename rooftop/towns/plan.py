"""A town from a seed: streets, blocks and buildings.

Buildings on a lot with things on their roofs; blocks, one function per style, (sketch, rectangle of the plan) ->
None; streets and the division of the ground into blocks.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rooftop.towns.regions import REGIONS, Region, linear, surface
from rooftop.towns.sketch import Bend, Lot, Rect, Sketch, pick
from rooftop.towns.town import CORNERS, Building, Surface, Town, Wing, turned

STOREY = 2.9  # metres
PANEL, TANKS = linear((34, 42, 66)), (linear((38, 38, 40)), linear((205, 208, 210)), linear((60, 90, 140)))
MACHINE = linear((178, 180, 180))


def build(sketch: Sketch, lot: Lot, place: tuple[float, float, float, float], storeys: int | None = None) -> Building:
    """A building around (x, y) of the lot with half lengths (a, b); all else as the region has it."""
    region, rng = sketch.region, sketch.rng
    kind = pick(rng, region.roofs)
    covering = surface(rng, pick(rng, region.flats if kind == "flat" else region.coverings))
    low, high = region.storeys
    walls = STOREY * (storeys or int(rng.integers(low, high + 1))) * sketch.between(0.92, 1.1)
    return raise_walls(sketch, lot, place, kind, (walls, covering))


def raise_walls(
    sketch: Sketch,
    lot: Lot,
    place: tuple[float, float, float, float],
    kind: str,
    how: tuple[float, Surface],
) -> Building:
    """A building of a given kind, height of its walls, and covering."""
    x, y, a, b = place
    walls, covering = how
    pitch = {"flat": 0.0, "shed": sketch.between(0.08, 0.25)}.get(kind, sketch.between(0.3, 0.75))
    (cx, cy), angle = lot.to_world(np.array([(x, y)]))[0].tolist(), lot.angle
    if b > a:  # the ridge runs along the longer side
        a, b, angle = b, a, angle + np.pi / 2
    main = Wing(cx, cy, angle, a, b, walls, pitch, kind)
    more = [wing for wing in _side_wing(sketch, main) if lot.holds(wing.outline)]
    building = Building((main, *more), covering)
    sketch.town.buildings.append(building)
    _furnish(sketch, main)
    return building


def _side_wing(sketch: Sketch, main: Wing) -> tuple[Wing, ...]:
    """An L or T: sometimes a second wing, across the first and inside its longer half."""
    narrow = main.b * sketch.between(0.55, 0.9)
    if main.kind == "shed" or narrow < 2 or main.a < 1.2 * main.b or not sketch.chance(0.35):
        return ()
    at = sketch.between(-1, 1)
    along = np.sign(at) * (main.a - narrow) if abs(at) > 0.35 else at * (main.a - narrow)
    reach = main.b * sketch.between(0.25, 0.55)  # beyond the main wing's side
    side = 1 if sketch.chance(0.5) else -1
    half = (main.b + reach) / 2
    dx, dy = turned(np.array([(along, side * half)]), main.angle)[0]
    a, b, angle = half, narrow, main.angle + np.pi / 2
    return (Wing(main.x + dx, main.y + dy, angle, a, b, main.walls, main.pitch, main.kind),)


def _furnish(sketch: Sketch, wing: Wing) -> None:
    """Chimneys, panels, tanks, machines."""
    lot = Lot(wing.x, wing.y, wing.angle, 2 * wing.a, 2 * wing.b)
    if wing.kind == "flat":
        for _ in range(int(sketch.rng.poisson(min(wing.a * wing.b / 35, 9)))):
            _on_flat(sketch, lot, wing)
    elif sketch.chance(0.5) and wing.kind != "shed":
        x, y = sketch.between(-0.7, 0.7) * wing.a, sketch.between(-0.3, 0.3) * wing.b
        sketch.thing(lot.box(x, y, 0.45, 0.4), 1.2, linear((120, 96, 86)))
    if sketch.chance(sketch.region.panels) and wing.b > 2.5:
        _panels(sketch, lot, wing)


def _on_flat(sketch: Sketch, lot: Lot, wing: Wing) -> None:
    x, y = sketch.between(-0.8, 0.8) * wing.a, sketch.between(-0.8, 0.8) * wing.b
    if sketch.chance(0.3) and wing.a > 4 and wing.a < 12:  # the head of the stairs
        sides = (sketch.between(1.2, 2.2), sketch.between(1.2, 2.0))
        tint = linear((sketch.between(130, 190),) * 3)
        sketch.thing(lot.box(0.6 * np.sign(x) * wing.a, 0.5 * np.sign(y) * wing.b, *sides), 2.3, tint)
    elif wing.walls < 14 and wing.a < 12:  # a water tank, round
        radius = sketch.between(0.5, 0.8)
        corners = turned(CORNERS, np.pi / 8), turned(CORNERS, 3 * np.pi / 8)
        ring = np.stack(corners, axis=1).reshape(-1, 2) * radius * 0.75
        sketch.thing(lot.to_world(np.add(ring, (x, y))), 1.2, TANKS[int(sketch.rng.integers(len(TANKS)))])
    else:
        sides = (sketch.between(0.7, 2.2), sketch.between(0.7, 1.5))
        sketch.thing(lot.box(x, y, *sides), sketch.between(0.8, 1.6), MACHINE)


def _panels(sketch: Sketch, lot: Lot, wing: Wing) -> None:
    """A field of solar panels on one side of the ridge, or over a flat roof."""
    side = 1 if sketch.chance(0.5) else -1
    rows = np.arange(0.25, 0.85, 1.75 / wing.b) if wing.kind != "flat" else np.arange(-0.7, 0.8, 2.4 / wing.b)
    columns = np.arange(-sketch.between(0.3, 0.85), sketch.between(0.2, 0.8), 1.08 / wing.a)
    for row in rows:
        for column in columns:
            at = (column * wing.a, side * row * wing.b)
            sketch.thing(lot.box(*at, 0.5, 0.8), 0.12, PANEL)


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
    """Small roofs at any angle on bare ground; a roof touching an earlier one is left out."""
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


BEYOND = 35.0  # metres planned around the ground that is asked for: shadows and cut houses come from there


def plan(seed: Sequence[int], width: float, height: float, *, density: float) -> Town:
    """Plan a town.

    The same seed and size give the same town; only the last bit of a coordinate may differ between machines.

    Args:
        seed: whole numbers.
        width: of the ground in metres.
        height: of the ground in metres.
        density: share of lots with buildings, in [0, 1].
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
