"""What was left out of an annotation file, and why: counted, and listed by id."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SHOWN = 1000  # at most so many are listed by id; all are counted


@dataclass(frozen=True)
class Rejected:
    """Annotations that cannot be used.

    counts: how many for each reason.
    listed: (annotation id, reason) of the first `SHOWN`; the id is None where not even that could be read.
    """

    counts: Mapping[str, int]
    listed: Sequence[tuple[int | None, str]]

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __str__(self) -> str:
        """One line for a log: "3 annotations left out: 2 with fewer than 3 points, 1 outside the picture"."""
        if not self.counts:
            return "no annotation left out"
        parts = ", ".join(f"{count} {reason}" for reason, count in sorted(self.counts.items()))
        return f"{len(self)} annotation{'s' if len(self) > 1 else ''} left out: {parts}"


@dataclass
class Tally:
    """Rejections as they are found."""

    counts: Counter[str] = field(default_factory=Counter)
    listed: list[tuple[int | None, str]] = field(default_factory=list)

    def add(self, identity: int | None, reason: str) -> None:
        """Count one annotation that is left out."""
        self.counts[reason] += 1
        if len(self.listed) < SHOWN:
            self.listed.append((identity, reason))

    def merge(self, other: "Tally") -> None:
        """Count what another one found after this one."""
        self.counts.update(other.counts)
        self.listed.extend(other.listed[: SHOWN - len(self.listed)])
