"""What an audit can find, how grave it is, and what to do about it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

LISTED = 1000  # the gravest of each kind and split are listed by name; all are counted


@dataclass(frozen=True)
class Kind:
    """A kind of finding. is_error: it makes `check_data.py` end with exit code 1. remedy: what a person can do."""

    is_error: bool
    remedy: str


KINDS = {
    "missing file": Kind(True, "Copy the picture into the folder, or remove its entry."),
    "unreadable picture": Kind(True, "Download or export the picture again."),
    "size differs": Kind(
        True,
        "Correct width and height of the entry, or replace the picture; where they are swapped, as by an EXIF turn, "
        "which is not looked at, turn its pixels.",
    ),
    "two entries of one file": Kind(True, "Join the entries, and their annotations, to one."),
    "no annotation": Kind(True, "The file lists pictures and not one roof: export it again."),
    "annotation left out": Kind(True, "Correct the annotation; until then it is not drawn at all."),
    "self-crossing outline": Kind(True, "Draw the outline again, or let `fix` repair it."),
    "duplicated annotation": Kind(True, "Remove one of them, or let `fix` do so: it would be counted twice."),
    "mask of another size": Kind(True, "Make the mask again."),
    "leak": Kind(True, "The same place in two splits flatters the score; let `fix` cut the splits anew."),
    "file without entry": Kind(False, "Not used. Add an entry if it should be, with or without annotations."),
    "undrawn border": Kind(
        False,
        "Hardly an outline crosses the border of the tiles, as where labels were cut to an area. Look: draw the roofs, "
        "or let `fix` mark the border as not judged.",
    ),
    "duplicate picture": Kind(False, "The same pixels; it weighs more in training than it should."),
    "near duplicate picture": Kind(False, "The same picture, turned, mirrored, compressed or brightened."),
    "tiny outline": Kind(False, "Hardly a roof; look whether it is a slip of the hand or a rest of a cut."),
    "wrong area": Kind(False, "The area stated is not that of the outline; scores by size would be wrong."),
    "wrong box": Kind(False, "The box stated is not that of the outline; it is not used here."),
}


@dataclass(frozen=True)
class Finding:
    """One finding.

    picture: file name of the entry. detail: numbers and reasons, in words. weight: the greatest are shown as pictures.
    annotation: its id. partner: (split, file name) of the other picture of a pair.
    """

    kind: str
    picture: str
    detail: str = ""
    weight: float = 0.0
    annotation: int | None = None
    partner: tuple[str, str] | None = None


@dataclass
class Findings:
    """The findings of one split; memory does not grow beyond some thousand of each kind."""

    found: dict[str, list[Finding]] = field(default_factory=dict)
    unlisted: Counter[str] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        """Take a finding in."""
        kept = self.found.setdefault(finding.kind, [])
        kept.append(finding)
        if len(kept) >= 2 * LISTED:
            kept.sort(key=_gravest_first)
            del kept[LISTED:]
            self.unlisted[finding.kind] += LISTED

    def merge(self, other: "Findings") -> None:
        """Take all findings of another one in."""
        self.unlisted.update(other.unlisted)
        for kept in other.found.values():
            for finding in kept:
                self.add(finding)

    def count(self, kind: str) -> int:
        """How many of a kind."""
        return len(self.found.get(kind, ())) + self.unlisted[kind]

    def errors(self) -> int:
        """How many that end with exit code 1."""
        return sum(self.count(kind) for kind, meaning in KINDS.items() if meaning.is_error)

    def worst(self, kind: str, most: int) -> Sequence[Finding]:
        """The gravest of a kind."""
        return sorted(self.found.get(kind, ()), key=_gravest_first)[:most]

    def plain(self) -> dict[str, Any]:
        """Counts and lists as plain containers, only of kinds that were found."""
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
            }
            yield {name: value for name, value in fields.items() if value not in (None, "")}


def _gravest_first(finding: Finding) -> float:
    return -finding.weight
