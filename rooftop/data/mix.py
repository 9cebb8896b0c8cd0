"""Several sources trained on as one: each with its own ground sampling distance and its own share of the draws."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.data.sources import Source, Truth
from rooftop.errors import DataError


@dataclass(frozen=True)
class Part:
    """What a mix takes from one source.

    Attributes:
        source: pictures and truth.
        picks: indices of the pictures taken.
        gsd: ground sampling distance, metres per pixel.
        weight: how often the part is drawn, against the weights of the others.
    """

    source: Source
    picks: NDArray[np.int64]
    gsd: float
    weight: float


class MixedSource:
    """A source made of parts; all categories of a part count as roof.

    Attributes:
        gsds: of each picture, metres per pixel, float (N,).
        shares: of each picture in the draws, float (N,), their sum is 1.
    """

    categories: tuple[str, ...] = ("roof",)

    def __init__(self, parts: Mapping[str, Part]) -> None:
        chosen = list(parts.values())
        self._at = [(part.source, int(i)) for part in chosen for i in part.picks]
        self.names: Sequence[str] = [
            f"{name}/{part.source.names[i]}" for name, part in parts.items() for i in part.picks
        ]
        self.sizes = np.concatenate([part.source.sizes[part.picks] for part in chosen])
        self.gsds = np.concatenate([np.full(len(part.picks), part.gsd) for part in chosen])
        shares = np.concatenate([np.full(len(part.picks), part.weight / len(part.picks)) for part in chosen])
        self.shares = shares / shares.sum()

    def path(self, i: int) -> Path:
        """The file of the picture."""
        source, at = self._at[i]
        return source.path(at)

    def picture(self, i: int) -> NDArray[np.uint8]:
        """The raw picture, uint8 (H, W, C)."""
        source, at = self._at[i]
        return source.picture(at)

    def truth(self, i: int) -> Truth:
        """Mask uint8 (T, H, W), one channel a target, and valid bool (H, W)."""
        source, at = self._at[i]
        mask, valid = source.truth(at)
        return mask.reshape(-1, len(source.categories), *valid.shape).max(axis=1), valid


def take(source: Source, rule: Mapping[str, Any], name: str) -> Part:
    """Choose pictures of a source.

    Args:
        source: pictures and truth.
        rule: `match`, a regular expression that the start of a stem fits, or None; `skip`, stems to leave out; `gsd`;
            `weight`.
        name: of the part, for messages.

    Raises:
        DataError: nothing is left, or a picture to leave out is not there.
    """
    stems = [PurePath(file).stem for file in source.names]
    skip: Sequence[str] = rule["skip"]
    unknown = sorted(set(skip) - set(stems))
    if unknown:
        raise DataError(f"data.mix.{name}.skip: there is no picture {unknown[0]}; take it off the list.")
    fits = [re.match(rule["match"] or "", stem) is not None and stem not in skip for stem in stems]
    if not any(fits):
        raise DataError(f"data.mix.{name}: no picture fits match={rule['match']}; correct the expression.")
    return Part(source, np.flatnonzero(fits), float(rule["gsd"]), float(rule["weight"]))
