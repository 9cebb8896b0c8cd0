import numpy as np
import pytest
import shapely

from rooftop.raster.windows import Window
from rooftop.towns.folder import outlines
from rooftop.towns.plan import cut, plan
from rooftop.towns.regions import REGIONS
from rooftop.towns.sketch import Lot, Rect
from rooftop.towns.town import CORNERS, Wing, turned

WINDOW = Window(0, 0, 240, 160)


def outlines_of(seed, density=0.9):
    return outlines(plan(seed, 72.0, 48.0, density=density), WINDOW, gsd=0.3)


def test_a_seed_is_a_town():
    first, again, other = outlines_of((3, 1)), outlines_of((3, 1)), outlines_of((3, 2))
    assert first == again
    assert first != other


def test_density_decides_how_much_is_built():
    def share(density):
        parts = [sum(shape.area for shape in outlines_of((0, i), density)) for i in range(12)]
        return sum(parts) / (12 * 240 * 160)

    assert share(0.0) < 0.1 < 0.15 < share(1.0) < 0.7


def test_outlines_are_valid_and_inside_and_hardly_overlap():
    for i in range(10):
        found = outlines_of((5, i))
        frame = shapely.box(0, 0, 240, 160)
        assert all(shape.is_valid and shape.within(frame) and not shape.interiors for shape in found)
        assert sum(shape.area for shape in found) <= 1.03 * shapely.union_all(found).area + 1


def test_twice_the_gsd_is_the_same_town_half_as_large():
    town = plan((7, 0), 72.0, 48.0, density=0.9)
    fine = outlines(town, Window(0, 0, 480, 320), gsd=0.15)
    coarse = outlines(town, Window(0, 0, 240, 160), gsd=0.3)
    halved = shapely.union_all([shapely.transform(shape, lambda points: points / 2) for shape in fine])
    assert shapely.union_all(coarse).symmetric_difference(halved).area < 0.002 * halved.area + 4


def test_streets_lie_between_blocks():
    rects = list(cut(np.random.default_rng(0), Rect(0, 0, 300, 200), REGIONS["europe"]))
    boxes = [shapely.box(r.x0, r.y0, r.x1, r.y1) for r in rects]
    assert len(boxes) > 5
    assert all(a.distance(b) > 4 for i, a in enumerate(boxes) for b in boxes[:i])


def test_wing_by_hand():
    wing = Wing(10, 20, np.pi / 2, 3, 1, 3, 0.5, "gable")
    assert np.allclose(wing.outline, [(11, 17), (11, 23), (9, 23), (9, 17)])


def test_lot_knows_what_it_holds():
    lot = Lot(5, 5, 0.3, 10, 6)
    assert lot.holds(lot.box(0, 0, 4.9, 2.9))
    assert not lot.holds(lot.box(0.2, 0, 4.9, 2.9))
    assert np.allclose(turned(turned(CORNERS, 0.7), -0.7), CORNERS)


@pytest.mark.parametrize("name", REGIONS)
def test_every_region_is_whole(name):
    from rooftop.towns.layers import KINDS
    from rooftop.towns.plan import STYLES
    from rooftop.towns.regions import TABLE

    region = REGIONS[name]
    assert set(region.styles) <= set(STYLES)
    assert set(region.roofs) <= set(KINDS)
    assert {*region.coverings, *region.flats, *region.lots, *region.streets} <= set(TABLE)
