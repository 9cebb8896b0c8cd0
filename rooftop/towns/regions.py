"""Kinds of regions: typical blocks, roofs and grounds. Shares are relative weights.

Surfaces, coverings of roofs and grounds, have colours as in aerial pictures, and a grain.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rooftop.towns.town import Surface

Colour = tuple[float, float, float]
# name: (colours in sRGB 0..255, grain, patches, metres between rows, contrast of rows)
TABLE: dict[str, tuple[tuple[tuple[int, int, int], ...], float, float, float, float]] = {
    "tile_red": (((158, 88, 66), (176, 106, 80), (140, 76, 60), (186, 128, 100)), 0.20, 0.12, 0.7, 0.06),
    "tile_brown": (((118, 92, 78), (98, 80, 70), (138, 108, 90)), 0.18, 0.12, 0.7, 0.06),
    "slate": (((92, 95, 102), (78, 80, 86), (112, 112, 116)), 0.15, 0.12, 0.6, 0.04),
    "shingle": (((128, 124, 120), (150, 142, 132), (172, 158, 140), (104, 98, 94), (140, 118, 102)), 0.14, 0.08, 0, 0),
    "tin": (((190, 194, 198), (168, 172, 176), (208, 210, 212), (150, 152, 152)), 0.10, 0.14, 0.9, 0.07),
    "tin_old": (((158, 142, 130), (148, 112, 90), (130, 104, 90), (170, 160, 152)), 0.25, 0.45, 0.9, 0.10),
    "tin_paint": (((92, 120, 165), (96, 132, 112), (152, 66, 56), (72, 98, 140), (120, 60, 52)), 0.10, 0.14, 0.9, 0.07),
    "concrete": (((168, 163, 155), (142, 139, 132), (190, 186, 178), (156, 148, 138)), 0.22, 0.30, 0, 0),
    "membrane": (((218, 218, 214), (196, 195, 190), (232, 232, 230)), 0.07, 0.14, 0, 0),
    "gravel_roof": (((150, 146, 140), (126, 122, 118), (170, 164, 154)), 0.20, 0.16, 0, 0),
    "tar": (((82, 82, 84), (98, 96, 95)), 0.14, 0.22, 0, 0),
    "grass": (((96, 114, 70), (108, 122, 76), (84, 104, 64), (118, 126, 84)), 0.28, 0.28, 0, 0),
    "dry_grass": (((150, 142, 102), (164, 152, 112), (136, 132, 92)), 0.25, 0.28, 0, 0),
    "soil": (((156, 130, 100), (170, 146, 118), (142, 120, 96)), 0.20, 0.26, 0, 0),
    "red_soil": (((168, 116, 86), (182, 132, 100), (152, 104, 80)), 0.20, 0.26, 0, 0),
    "sand": (((190, 172, 142), (202, 186, 158), (176, 158, 130)), 0.15, 0.14, 0, 0),
    "gravel": (((158, 152, 144), (176, 170, 160)), 0.25, 0.14, 0, 0),
    "asphalt": (((112, 112, 113), (96, 97, 99), (128, 126, 124), (142, 140, 136)), 0.10, 0.12, 0, 0),
    "dirt": (((178, 158, 132), (166, 142, 114), (190, 172, 148)), 0.18, 0.18, 0, 0),
    "paving": (((176, 172, 164), (160, 154, 146), (190, 186, 180)), 0.12, 0.16, 0, 0),
    "crop": (((100, 124, 68), (132, 138, 78), (84, 110, 60), (120, 130, 72)), 0.20, 0.22, 2.2, 0.14),
    "stubble": (((172, 156, 112), (158, 142, 104), (184, 166, 124)), 0.18, 0.18, 2.6, 0.10),
    "ploughed": (((134, 108, 84), (120, 98, 78), (150, 124, 98)), 0.20, 0.16, 1.6, 0.14),
    "water": (((62, 78, 82), (74, 92, 86), (52, 66, 76), (92, 98, 84)), 0.05, 0.08, 0, 0),
    "pool": (((96, 178, 200), (72, 160, 190), (120, 195, 205)), 0.05, 0.05, 0, 0),
    "line": (((222, 222, 216),), 0.05, 0.1, 0, 0),
}
CARS = ((225, 226, 226), (236, 236, 234), (40, 42, 46), (120, 124, 128), (165, 168, 172), (150, 34, 32), (44, 66, 118))
LEAVES = ((70, 92, 50), (58, 80, 46), (84, 104, 58), (98, 112, 66), (66, 84, 58), (108, 110, 68))


def linear(colour: tuple[float, ...]) -> Colour:
    """From sRGB 0..255 to reflectance linear in light."""
    r, g, b = (float((max(channel, 0) / 255) ** 2.2) for channel in colour)
    return r, g, b


def shift(rng: np.random.Generator, colour: tuple[int, int, int], *, by: float = 0.07) -> Colour:
    """A colour near `colour`: another brightness, and a little another hue; linear."""
    light, *tints = (1 + by * rng.standard_normal(4) * (1, 1 / 3, 1 / 3, 1 / 3)).tolist()
    grey, keep = sum(colour) / 3, rng.uniform(0.45, 0.95)  # air and dust take colour away
    muted = [(grey + (channel - grey) * keep) * light * tint for channel, tint in zip(colour, tints, strict=True)]
    return linear(tuple(min(max(channel, 8.0), 250.0) for channel in muted))


def surface(rng: np.random.Generator, name: str) -> Surface:
    """Draw one appearance of a covering or ground of `TABLE`."""
    colours, grain, patches, rows, contrast = TABLE[name]
    tint = shift(rng, colours[int(rng.integers(len(colours)))])
    uneven = rng.uniform(0.5, 1.4)
    return Surface(tint, grain * uneven, patches * uneven, rows * rng.uniform(0.8, 1.3), contrast)


Shares = Mapping[str, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class Region:
    """One kind of region; lengths in metres.

    block: greatest length of undivided blocks. street: width. lot: width. styles: of blocks. roofs: kinds, of
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
