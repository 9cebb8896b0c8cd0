"""Kinds of places: which blocks, roofs and grounds go together. Shares are relative weights."""

from collections.abc import Mapping
from dataclasses import dataclass

Shares = Mapping[str, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class Region:
    """One kind of place; lengths in metres.

    block: length at which blocks are cut no further. street: width. lot: width. styles: of blocks. roofs: kinds, of
    houses. coverings: of pitched roofs. flats: coverings of flat roofs. lots, streets: grounds. trees: a lot. storeys:
    lowest and highest. pools, panels: share of the houses.
    """

    weight: float
    block: Range
    street: Range
    lot: Range
    styles: Shares
    roofs: Shares
    coverings: Shares
    flats: Shares
    lots: Shares
    streets: Shares
    trees: float
    storeys: tuple[int, int]
    pools: float
    panels: float


REGIONS = {
    "suburb": Region(
        weight=3,
        block=(60, 95),
        street=(6, 10),
        lot=(14, 22),
        styles={"suburb": 8, "industry": 1, "park": 0.7, "rows": 0.4},
        roofs={"hip": 5, "gable": 4, "flat": 0.5},
        coverings={"shingle": 6, "tile_brown": 1.5, "tile_red": 1.5, "tin": 0.5, "slate": 1},
        flats={"membrane": 3, "gravel_roof": 2, "tar": 1, "concrete": 1},
        lots={"grass": 5, "dry_grass": 2, "soil": 0.7},
        streets={"asphalt": 1},
        trees=2.6,
        storeys=(1, 2),
        pools=0.12,
        panels=0.03,
    ),
    "desert": Region(
        weight=1.5,
        block=(55, 100),
        street=(7, 11),
        lot=(12, 18),
        styles={"suburb": 8, "industry": 1.5, "field": 0.5},
        roofs={"hip": 6, "gable": 2, "flat": 0.7},
        coverings={"tile_red": 2, "tile_brown": 3, "shingle": 3},
        flats={"membrane": 3, "concrete": 1},
        lots={"sand": 5, "gravel": 2, "grass": 1, "soil": 2},
        streets={"asphalt": 1},
        trees=0.8,
        storeys=(1, 2),
        pools=0.3,
        panels=0.05,
    ),
    "europe": Region(
        weight=2.5,
        block=(45, 90),
        street=(5, 9),
        lot=(9, 19),
        styles={"suburb": 4, "rows": 4, "industry": 1.5, "park": 0.7, "field": 0.7},
        roofs={"gable": 6, "hip": 3, "flat": 1.5},
        coverings={"tile_red": 6, "tile_brown": 2.5, "slate": 2, "tin": 0.6},
        flats={"gravel_roof": 3, "tar": 1.5, "concrete": 1.5, "membrane": 1},
        lots={"grass": 6, "paving": 1.5, "gravel": 0.7},
        streets={"asphalt": 1},
        trees=2.0,
        storeys=(1, 4),
        pools=0.04,
        panels=0.05,
    ),
    "old_town": Region(
        weight=2,
        block=(26, 55),
        street=(2.5, 5.5),
        lot=(6, 11),
        styles={"rows": 7, "informal": 1, "suburb": 1, "field": 0.8},
        roofs={"flat": 6, "gable": 2.5, "shed": 1.5},
        coverings={"tin": 3, "tin_old": 2, "tile_red": 1.5, "tin_paint": 3},
        flats={"concrete": 8, "gravel_roof": 1, "tin_paint": 1, "tin_old": 1},
        lots={"soil": 3, "paving": 2, "grass": 2},
        streets={"asphalt": 1, "paving": 0.6, "dirt": 1},
        trees=0.6,
        storeys=(2, 4),
        pools=0.0,
        panels=0.03,
    ),
    "village": Region(
        weight=2,
        block=(50, 100),
        street=(3, 7),
        lot=(14, 26),
        styles={"informal": 4, "suburb": 2, "field": 3},
        roofs={"gable": 5, "shed": 2, "hip": 2, "flat": 1},
        coverings={"tin": 4, "tin_old": 4, "tin_paint": 1.5, "tile_red": 1},
        flats={"concrete": 3, "tin_old": 1},
        lots={"soil": 3, "red_soil": 3, "dry_grass": 2, "sand": 1},
        streets={"dirt": 1},
        trees=1.8,
        storeys=(1, 1),
        pools=0.0,
        panels=0.02,
    ),
    "works": Region(
        weight=1.2,
        block=(80, 150),
        street=(8, 13),
        lot=(18, 30),
        styles={"industry": 6, "suburb": 1, "field": 1, "rows": 0.5},
        roofs={"flat": 3, "gable": 3, "hip": 1},
        coverings={"tin": 3, "tin_paint": 1, "tile_red": 2, "shingle": 1},
        flats={"membrane": 4, "gravel_roof": 2, "tar": 1, "tin": 2},
        lots={"grass": 2, "gravel": 2, "asphalt": 2},
        streets={"asphalt": 1},
        trees=1.0,
        storeys=(1, 3),
        pools=0.0,
        panels=0.05,
    ),
}
