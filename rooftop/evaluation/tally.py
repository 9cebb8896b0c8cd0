"""Counts of every picture of a split, so that any choice of pictures can be scored: all, or a bootstrap draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rooftop.evaluation.measure import Measured
from rooftop.metrics.curve import Histogram
from rooftop.metrics.objects import Ranking, ranking

Floats = NDArray[np.float64]


class Tally:
    """The measured pictures of a split, some kilobytes each.

    Attributes:
        names: of the K categories.
        pictures: in order of their ids, which decides between equal object scores, as in COCOeval.
        places: where each of them stands in its split.
        histogram: of the whole split; empty where only objects are known.
    """

    def __init__(self, measured: Iterable[Measured], names: list[str]) -> None:
        """Take the pictures of a split in its own order."""
        self.names, self.histogram = names, Histogram()
        pictures, empty = [], Histogram()
        for each in measured:
            self.histogram += each.histogram
            pictures.append(replace(each, histogram=empty))  # 24 KiB a picture, summed up already
        self.places = sorted(range(len(pictures)), key=lambda place: pictures[place].picture_id)
        self.pictures = [pictures[place] for place in self.places]

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def table(self) -> dict[str, Floats]:
        """Counts by group, one row a picture: float64 (N, m)."""
        groups = self.pictures[0].rows
        return {group: np.array([each.rows[group] for each in self.pictures]) for group in groups}

    @cached_property
    def masks(self) -> list[Ranking]:
        """Predictions of each category by falling score, matched by masks."""
        return [ranking([each.masks[k] for each in self.pictures]) for k in range(len(self.names))]

    @cached_property
    def boundaries(self) -> list[Ranking]:
        """Predictions of each category by falling score, matched by boundaries."""
        return [ranking([each.boundaries[k] for each in self.pictures]) for k in range(len(self.names))]
