"""The report as plain containers, for `report.json`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rooftop.audit.splits import Split


def report(splits: Sequence[Split]) -> dict[str, Any]:
    """Errors in all, and for each split its numbers and findings."""
    return {
        "errors": sum(split.findings.errors() for split in splits),
        "splits": {split.name: _split(split) for split in splits},
    }


def _split(split: Split) -> dict[str, Any]:
    """Numbers and findings of a split."""
    mean, std = split.facts.brightness() if split.facts else ([], [])
    numbers = split.statistics
    names = {kind.id: kind.name for kind in split.index.categories} if split.index is not None else {}
    return {
        "pictures": len(split.names),
        "objects": sum(numbers.counts),
        "empty_share": float(np.mean([count == 0 for count in numbers.counts])) if numbers.counts else None,
        "covered_share": float(np.mean(numbers.shares)) if numbers.shares else None,
        "area_percentiles": _percentiles(numbers.areas),
        "objects_by_category": {names[kind]: count for kind, count in sorted(numbers.kinds.items())},
        "mean": mean,
        "std": std,
        "findings": split.findings.plain(),
    }


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    """The usual ones, in square pixels."""
    if not values:
        return {}
    wanted = (1, 5, 25, 50, 75, 95, 99)
    return {
        str(share): round(float(value), 1) for share, value in zip(wanted, np.percentile(values, wanted), strict=True)
    }
