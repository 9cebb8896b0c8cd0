"""Buildings on a lot, and what stands on their roofs."""

import numpy as np

from rooftop.towns.kinds import CORNERS, Building, Surface, Wing, turned
from rooftop.towns.sketch import Lot, Sketch, pick
from rooftop.towns.surfaces import linear, surface

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
