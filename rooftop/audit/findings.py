"""Kinds of findings of an audit, their severity and remedy, and lists of findings."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

LISTED = 1000  # findings listed by name for each kind and split, the most severe ones; all are counted


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes:
        is_error: `check_data.py` ends with exit code 1.
        remedy: advice to the user; `code` stands between backticks.
    """

    is_error: bool
    remedy: str


KINDS = {
    "missing file": Kind(True, "Copy the picture into the folder, or remove its entry."),
    "unreadable picture": Kind(True, "Download or export the picture again."),
    "size differs": Kind(
        True,
        "Correct width and height of the entry, or replace the picture. If they are swapped, the file has an EXIF "
        "rotation, ignored here: rotate its pixels.",
    ),
    "two entries of one file": Kind(True, "Each entry has a part of the roofs; let `fix` join them."),
    "no annotation": Kind(True, "Nothing can be learned from the split; the finding tells why, and what to do."),
    "outline from 0 to 1": Kind(
        True, "COCO counts in pixels: multiply x by the width and y by the height of the picture."
    ),
    "annotation left out": Kind(
        True, "Correct the annotation; until then it is not drawn, and its box, if it has one, is not judged."
    ),
    "damaged annotation": Kind(True, "Correct the part named; until then only the rest of the annotation is used."),
    "self-crossing outline": Kind(True, "Draw the outline again, or let `fix` repair it."),
    "duplicated annotation": Kind(True, "Remove one of them, or let `fix` do it; otherwise it counts twice."),
    "unreadable mask": Kind(True, "Export the mask again, or name its values by `data.roof_values`."),
    "mask of another size": Kind(True, "Make the mask again."),
    "leak": Kind(True, "The same place in two splits makes scores too good; let `fix` separate the splits."),
    "file without entry": Kind(False, "Not used. If it should be, add an entry, with or without annotations."),
    "undrawn border": Kind(
        False,
        "Hardly any outline crosses the border of the tiles, as if labels were cut to an area. Look at it: draw the "
        "roofs, or let `fix` mark the border as not judged.",
    ),
    "label shift": Kind(
        False,
        "Moved so, outlines fit the edges in the picture better (red in the report). Look at it: if the labels are "
        "shifted, let `fix` with `shifts=move` move them; walls seen aslant look alike.",
    ),
    "duplicate picture": Kind(False, "The same pixels; it weighs more in training than it should."),
    "near duplicate picture": Kind(False, "The same picture, turned, mirrored, compressed or brightened."),
    "stray ring": Kind(False, "It has fewer than 3 points and covers nothing. `fix` removes it."),
    "tiny outline": Kind(False, "Too small for a roof; check for a slip of the hand or a remnant of a cut."),
    "not judged": Kind(
        False,
        "Marked `iscrowd`: neither learned nor scored. If it is a single roof, as each mask of CVAT's brush and of SAM "
        "is, let `fix` with `crowds=roofs` make it one.",
    ),
    "empty category": Kind(False, "No annotation of it can be learned, so it is left out of the training."),
    "repeated annotation id": Kind(
        False, "COCOeval, and so AP, counts only the last annotation of an id; let `fix` number them anew."
    ),
    "wrong area": Kind(False, "The stated area differs from the outline; scores by size would be wrong."),
    "wrong box": Kind(False, "The stated box differs from the outline; boxes are not used here."),
}


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        kind: key of `KINDS`.
        picture: file name of the entry.
        detail: numbers and reasons as text.
        weight: severity; the findings with the largest weights are shown as pictures.
        annotation: id.
        partner: (split, file name) of the other picture of a pair.
        move: dx, dy in pixels by which the outlines fit better.
    """

    kind: str
    picture: str
    detail: str = ""
    weight: float = 0.0
    annotation: int | None = None
    partner: tuple[str, str] | None = None
    move: tuple[float, float] | None = None


@dataclass
class Findings:
    """The findings of one split; at most some thousand of each kind are in memory.

    Attributes:
        found: listed findings by kind.
        unlisted: number of findings counted but not listed, by kind.
    """

    found: dict[str, list[Finding]] = field(default_factory=dict)
    unlisted: Counter[str] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        """Add a finding."""
        kept = self.found.setdefault(finding.kind, [])
        kept.append(finding)
        if len(kept) >= 2 * LISTED:
            kept.sort(key=_most_severe_first)
            del kept[LISTED:]
            self.unlisted[finding.kind] += LISTED

    def merge(self, other: "Findings") -> None:
        """Add all findings of another object."""
        self.unlisted.update(other.unlisted)
        for kept in other.found.values():
            for finding in kept:
                self.add(finding)

    def count(self, kind: str) -> int:
        """Return the number of findings of a kind."""
        return len(self.found.get(kind, ())) + self.unlisted[kind]

    def errors(self) -> int:
        """Return the number of errors, the findings with exit code 1."""
        return sum(self.count(kind) for kind, meaning in KINDS.items() if meaning.is_error)

    def worst(self, kind: str, most: int) -> Sequence[Finding]:
        """Return up to `most` findings of a kind, the most severe ones first."""
        return sorted(self.found.get(kind, ()), key=_most_severe_first)[:most]

    def plain(self) -> dict[str, Any]:
        """Return counts and lists of the kinds found, as plain containers."""
        return {
            kind: {"count": self.count(kind), "is_error": KINDS[kind].is_error, "listed": list(self._listed(kind))}
            for kind in KINDS
            if self.count(kind)
        }

    def _listed(self, kind: str) -> Iterator[dict[str, Any]]:
        for finding in self.worst(kind, LISTED):
            fields = {
                "picture": finding.picture,
                "annotation": finding.annotation,
                "detail": finding.detail,
                "partner": finding.partner,
                "move": finding.move,
            }
            yield {name: value for name, value in fields.items() if value not in (None, "")}


def _most_severe_first(finding: Finding) -> float:
    return -finding.weight
