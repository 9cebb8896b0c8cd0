"""What `summary.json` says of a source, picture or scene."""

from collections.abc import Sequence
from typing import Any

from rooftop.inference.sources import Source
from rooftop.polygons.ground import Ground
from rooftop.polygons.spool import Spool


def summary_row(
    source: Source, size: Sequence[int], *, ground: Ground, pixels: tuple[int, int], roofs: Spool
) -> dict[str, Any]:
    """What is told of every source.

    Args:
        source: where it came from.
        size: height and width in pixels.
        ground: what a pixel is on the ground.
        pixels: how many are roof, and how many have data.
        roofs: that were found.
    """
    return {
        "picture": source.path,
        "height": size[0],
        "width": size[1],
        "metres_per_pixel": ground.gsd,
        "roofs": len(roofs),
        f"roof_{ground.unit}2": round(sum(roof.area for roof in roofs), 1),
        "roof_pixels": pixels[0],
        "valid_pixels": pixels[1],
        "roof_share": pixels[0] / max(pixels[1], 1),
    }


def scaled_by(factor: float | None) -> float | None:
    """By how much the network saw a source larger, to three digits; None = as it is."""
    return factor and round(factor, 3)
