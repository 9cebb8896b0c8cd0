"""Coverings and grounds: colours as aerial pictures show them, and how even they are."""

import numpy as np

from rooftop.towns.kinds import Surface

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
    """One of the looks that a covering or ground of `TABLE` has."""
    colours, grain, patches, rows, contrast = TABLE[name]
    tint = shift(rng, colours[int(rng.integers(len(colours)))])
    uneven = rng.uniform(0.5, 1.4)
    return Surface(tint, grain * uneven, patches * uneven, rows * rng.uniform(0.8, 1.3), contrast)
