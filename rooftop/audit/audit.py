"""The audit of a data set: each split alone, then the splits compared with one another."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from rooftop.audit.annotations import Statistics, check_outlines
from rooftop.audit.border import Border, Cell, undrawn_borders
from rooftop.audit.findings import Finding, Findings
from rooftop.audit.pictures import Facts, Pairs, find_pairs, gather
from rooftop.audit.shift import Labels, Shift, Shifts, find_shifts, sample
from rooftop.coco import STRAY, Index, lessons, plain_name, repeated, unpaired, why_nothing
from rooftop.errors import DataError, brief
from rooftop.raster.mask_values import USUAL, MaskValues
from rooftop.raster.picture import list_pictures, read_mask_with_valid, settle_mask_values
from rooftop.raster.reading import PlainReading, Reading

Progress = Callable[[str, int, int], None]
Cells = Callable[[Sequence[str]], Sequence[Cell | None]]
Places = Callable[[Sequence[str]], Sequence[str]]


@dataclass
class Split:
    """One split of the data set, and the results of its audit.

    Attributes:
        name: train, val or test.
        images: folder of the pictures.
        index: of the annotations; None for a split with mask pictures.
        categories: ids or names to learn; None: all.
        masks: folder of the mask pictures; None for a split with annotations.
        findings: result of the audit.
        statistics: result of the audit.
        borders: result of the audit: borders with missing roofs.
        shifts: result of the audit: shifted labels; None for a split with mask pictures.
        facts: result of the audit.
        reading: how picture files are read.
        mask_values: meaning of the values of mask pictures.
    """

    name: str
    images: Path
    index: Index | None = None
    masks: Path | None = None
    findings: Findings = field(default_factory=Findings)
    statistics: Statistics = field(default_factory=Statistics)
    borders: list[Border] = field(default_factory=list)
    shifts: Shifts | None = None
    facts: Facts | None = None
    reading: Reading = field(default_factory=PlainReading)
    mask_values: MaskValues = USUAL
    categories: Sequence[int | str] | None = None

    @cached_property
    def names(self) -> Sequence[str]:
        """File names of the pictures."""
        if self.index is not None:
            return self.index.names
        return [path.name for path in list_pictures(self.images)]

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each picture by its name."""
        return {name: row for row, name in enumerate(self.names)}


def audit_splits(
    splits: Sequence[Split],
    store: Path,
    *,
    cells: Cells | None = None,
    places: Places | None = None,
    gsd: float | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> Pairs:
    """Fill in the findings of every split.

    Args:
        splits: in order of priority: of two copies, the one in the earlier split counts as the original.
        store: folder of the cache; an interrupted audit resumes.
        cells: maps file names to positions in a grid of tiles; None skips the check of borders.
        places: maps file names to places, whose labels may be shifted alike; None: every picture is a place.
        gsd: metres per pixel of the pictures; None: unknown.
        processes: number of parallel processes.
        progress: called with (name of the step, pictures done, number of pictures).

    Returns:
        Pairs of equal or nearly equal pictures, as indices into the pictures of all splits in order.
    """
    for split in splits:
        advance = _step_progress(progress, split, "pictures")
        split.facts = gather(
            split.images, split.names, store, reading=split.reading, processes=processes, progress=advance
        )
        _check_files(split)
        if split.index is not None:
            found, split.statistics = check_outlines(
                split.index, store, processes=processes, progress=_step_progress(progress, split, "annotations")
            )
            split.findings.merge(found)
            _check_categories(split, split.index)
            _add_unreadable(split.findings, split.index)
            _check_ids(split, split.index)
            split.shifts = find_shifts(
                Labels(split.index, split.images, split.reading, _chosen(split, split.index)),
                store,
                places=places(split.names) if places else None,
                processes=processes,
                progress=_step_progress(progress, split, "shifts", len(sample(split.index)[1])),
            )
            _add_all(split, [_shift_finding(split.shifts, shift, split.index, gsd) for shift in split.shifts.named()])
        elif split.masks is not None:
            _check_masks(split, split.masks)
    if cells:
        _check_borders(splits, cells)
    return _compare(splits)


def _chosen(split: Split, index: Index) -> frozenset[int]:
    """Ids of the categories to learn."""
    return frozenset(i for channel in index.channels(split.categories) for i in channel)


def _shift_finding(shifts: Shifts, shift: Shift, index: Index, gsd: float | None) -> Finding:
    """Describe a shift, with the picture that has most annotations."""
    fullest = max(shift.rows, key=lambda row: len(index.numbers(row)))
    dx, dy = move = (float(shifts.moves[fullest][0]), float(shifts.moves[fullest][1]))
    length = float(np.hypot(dx, dy))
    both = (dx, "right" if dx > 0 else "left"), (dy, "down" if dy > 0 else "up")
    parts = [f"{abs(along):.1f} px {side}" for along, side in both if along]
    metres = f" ({length * gsd:.2f} m)" if gsd else ""
    what = {"split": "the whole split", "place": f"place {brief(shift.place)}", "picture": "this picture"}[shift.level]
    number = "" if shift.level == "picture" else f" ({len(shift.rows):,} pictures)"
    detail = f"{what}{number}, {shift.offset.roofs:,} roofs: move {' and '.join(parts)}{metres}"
    return Finding("label shift", index.names[fullest], detail, length * len(shift.rows), move=move)


def _step_progress(
    progress: Progress | None, split: Split, what: str, total: int | None = None
) -> Callable[[int], None] | None:
    """Make a progress function for one step of one split, of `total` pictures; None: all."""
    if progress is None:
        return None
    done = Counter[str]()

    def advance(count: int) -> None:
        done[what] += count
        progress(f"{split.name} {what}", done[what], len(split.names) if total is None else total)

    return advance


def _add_all(split: Split, found: Sequence[Finding]) -> None:
    for finding in found:
        split.findings.add(finding)


def _add_unreadable(findings: Findings, index: Index) -> None:
    """Add annotations that are left out, or used in part."""
    rejected, damaged = index.rejected, index.damaged
    for identity, reason in rejected.listed:
        findings.add(Finding("annotation left out", "", reason, annotation=identity))
    findings.unlisted["annotation left out"] += len(rejected) - len(rejected.listed)
    kinds = Counter({"stray ring": damaged.counts.get(STRAY, 0)})
    kinds["damaged annotation"] = len(damaged) - kinds["stray ring"]
    for identity, reason in damaged.listed:
        kind = "stray ring" if reason == STRAY else "damaged annotation"
        findings.add(Finding(kind, "", reason, annotation=identity))
        kinds[kind] -= 1
    findings.unlisted.update(kinds)


def _check_files(split: Split) -> None:
    """Compare the entries of the annotations with the picture files."""
    assert split.facts is not None
    found = unpaired(split.images, split.names)
    missing = set(found.missing)
    _add_all(split, [Finding("missing file", name) for name in found.missing])
    _add_all(split, [Finding("file without entry", name) for name in found.extra])
    for i, (name, fault) in enumerate(zip(split.names, split.facts.fault, strict=True)):
        if fault and name not in missing:
            split.findings.add(Finding("unreadable picture", name, fault))
        elif not fault and split.index is not None:
            stated, real = split.index.sizes[i].tolist(), split.facts.sizes[i].tolist()
            if stated != real:
                detail = f"{stated[1]} x {stated[0]} in the entry, {real[1]} x {real[0]} in the file"
                split.findings.add(Finding("size differs", name, detail))
    twice = repeated(split.names).items()
    _add_all(split, [Finding("two entries of one file", name, f"{count} entries") for name, count in twice])


def _check_categories(split: Split, index: Index) -> None:
    """Check that the annotations of the chosen categories teach something."""
    chosen = _chosen(split, index)
    found = [lesson for lesson in lessons(index) if lesson.category.id in chosen]
    if not any(lesson.is_learnable for lesson in found):
        detail = f"in {index.source}: {why_nothing(found, index.rejected)}"
        split.findings.add(Finding("no annotation", "", detail))
        return
    for lesson in found:
        if split.name == "train" and not lesson.is_learnable:
            detail = f"{brief(lesson.category.name)}: {lesson.total:,} annotations, {lesson.crowds:,} of them iscrowd"
            split.findings.add(Finding("empty category", "", detail))


def _check_ids(split: Split, index: Index) -> None:
    """Search for annotation ids used several times."""
    ids, counts = np.unique(index.annotation_ids, return_counts=True)
    for identity, used in zip(ids[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True):
        split.findings.add(Finding("repeated annotation id", "", f"of {used:,} annotations", annotation=identity))


def _check_borders(splits: Sequence[Split], cells: Cells) -> None:
    """Search for missing roofs at the outer border of tiled ground."""
    positions = [cells(split.names) for split in splits]
    for i, split in enumerate(splits):
        if split.index is None:
            continue
        others = {cell for other in (*positions[:i], *positions[i + 1 :]) for cell in other if cell}
        split.borders = undrawn_borders(split.index, positions[i], others)
        for border in split.borders:
            row, side = border.fullest
            detail = (
                f"outer border of {len(border.edges)} tiles (this one: {side}): {border.touching} outlines touch it, "
                f"{border.usual:g} are usual inside; doubtful: {border.width} px"
            )
            weight = border.usual - border.touching
            split.findings.add(Finding("undrawn border", split.index.names[row], detail, weight))


def _check_masks(split: Split, masks: Path) -> None:
    """Compare pictures with their masks."""
    assert split.facts is not None
    by_stem = {path.stem: path for path in list_pictures(masks)}
    values, fault = split.mask_values, ""
    try:
        values = settle_mask_values([*by_stem.values()], values)
    except DataError as error:
        fault = str(error)
    for name, real in zip(split.names, split.facts.sizes.tolist(), strict=True):
        mask = by_stem.get(Path(name).stem)
        if mask is None:
            split.findings.add(Finding("missing file", name, f"no mask in {masks}"))
            continue
        try:
            size = list(read_mask_with_valid(mask, values)[0].shape)
        except DataError as error:
            split.findings.add(Finding("unreadable mask", name, str(error)))
            continue
        if any(real) and size != real:
            detail = f"{size[1]} x {size[0]} mask, {real[1]} x {real[0]} picture"
            split.findings.add(Finding("mask of another size", name, detail))
    if fault and not split.findings.count("unreadable mask"):
        split.findings.add(Finding("no annotation", "", fault))


def _compare(splits: Sequence[Split]) -> Pairs:
    """Find duplicates inside the splits and across them."""
    facts = [split.facts for split in splits if split.facts is not None]
    owner = np.repeat(np.arange(len(splits)), [len(part.fault) for part in facts])
    names = [name for split in splits for name in split.names]
    readable = np.array([not fault for part in facts for fault in part.fault], bool)
    digest, small = (np.concatenate([getattr(part, name) for part in facts]) for name in ("digest", "small"))
    pairs = find_pairs(digest, small, readable)
    for (first, second), correlation, is_exact in zip(
        pairs.pair.tolist(), pairs.correlation, pairs.is_exact, strict=True
    ):
        if plain_name(names[first]) == plain_name(names[second]) and owner[first] == owner[second]:
            continue  # two entries of one file: reported as such
        kind = "duplicate picture" if is_exact else "near duplicate picture"
        detail = "the same pixels" if is_exact else f"correlation {correlation:.4f}"
        partner = (splits[owner[first]].name, names[first])
        split = splits[owner[second]]
        if owner[first] != owner[second]:
            kind = "leak"
        split.findings.add(Finding(kind, names[second], detail, float(correlation), partner=partner))
    return pairs
