"""The folders and files of a data set, and its splits.

The expected tree is drawn in messages and made on request. `open_split` leads from the configuration to an opened
source; without a validation split, one is cut off the training pictures by place.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.coco import Index, lessons, open_index, repeated, require_learnable
from rooftop.coco.learnable import CROWD_REMEDY, NORMALISED_REMEDY
from rooftop.config import build
from rooftop.data.sources import CocoSource, Drawing, MaskSource, MixedSource, Source, take
from rooftop.data.splits import has_location, is_near, split_by_place
from rooftop.errors import ConfigError, DataError, RooftopError, brief, first_names
from rooftop.raster.mask_values import USUAL, MaskValues
from rooftop.raster.reading import PlainReading, Reading
from rooftop.raster.targets import ROOF, TARGETS

log = logging.getLogger(__name__)
PATHS = ("images", "annotations", "masks")
Parts = Mapping[str, Mapping[str, str | None] | None]


def complete(part: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a split or a part of a mix: paths left out on the command line become None."""
    return {**dict.fromkeys(PATHS), **part}


def check_layout(root: Path, parts: Parts) -> None:
    """Check every folder and file of the splits.

    Args:
        root: of the data set.
        parts: for each split the relative paths `images` and `annotations` or `masks`.

    Raises:
        DataError: something is missing; the message draws the expected tree.
    """
    missing = [path for path in _paths(parts) if not (root / path).exists()]
    empty = [part["images"] for part in parts.values() if part and part["images"] and _is_empty(root / part["images"])]
    if not missing and not empty:
        return
    what = f"{missing[0]} is missing" if missing else f"{empty[0]} is empty"
    raise DataError(
        f"{root}: {what}; expected is this tree (make_masks.py with init=true makes it):\n{draw(root, parts)}"
    )


def make_layout(root: Path, parts: Parts) -> list[Path]:
    """Make the empty folder tree, ready for pictures and annotations; returns the folders."""
    folders = []
    for path in _paths(parts):
        folder = root / path if not _is_file(path) else (root / path).parent
        folder.mkdir(parents=True, exist_ok=True)
        folders.append(folder)
    return sorted(set(folders))


def draw(root: Path, parts: Parts) -> str:
    """Draw the expected tree as text, with the contents of each folder."""
    lines = [f"{root}/"]
    for split, part in parts.items():
        for key, path in (part or {}).items():
            if path:
                hint = {"images": "the pictures", "masks": "one mask PNG a picture, same stem"}.get(key, "MS-COCO json")
                name = path if _is_file(path) else f"{path}/"
                lines.append(f"├── {name:<32} {split}: {hint}")
    return "\n".join([*lines[:-1], lines[-1].replace("├", "└")])


def _paths(parts: Parts) -> list[str]:
    return [path for part in parts.values() if part for path in part.values() if path]


def _is_file(path: str) -> bool:
    return Path(path).suffix == ".json"


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(not path.name.startswith(".") for path in folder.iterdir())


SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataLayout:
    """Location and splits of a data set: the data configuration without the settings for loading.

    `source` is the `_target_` node of a class that opens pictures and truth, instead of annotations or masks. `prefer`
    names the categories of a run, or of the training, to take if `categories` is None. With them nothing is learned
    any more.
    """

    root: Path
    splits: dict[str, dict[str, str | None] | None]
    mix: dict[str, dict[str, Any]] | None
    val_share: float
    place: str | None
    categories: list[int | str] | None
    masks: Path | None
    cache: Path
    drawing: Drawing
    reading: Reading
    mask_values: MaskValues = USUAL
    source: Mapping[str, Any] | None = None
    prefer: Sequence[str] = ()


def read_layout(config: dict[str, Any], reading: Reading | None = None) -> DataLayout:
    """Take the layout out of the resolved `data` group; without `reading`, pictures are read as 8-bit RGB."""
    return DataLayout(
        root=Path(config["root"]),
        splits={split: config[split] and complete(config[split]) for split in SPLITS},
        mix=config["mix"] and {name: complete(part) for name, part in config["mix"].items()},
        val_share=config["val_share"],
        place=config["place"],
        categories=config["categories"],
        masks=Path(config["masks"]) if config["masks"] else None,
        cache=Path(config["cache"]),
        drawing=Drawing(_targets(config["targets"]), gaps=config["gaps"]),
        reading=reading or PlainReading(),
        mask_values=MaskValues.of(config.get("roof_values"), config.get("ignored_values")),
        source=config.get("source"),
    )


def open_split(
    layout: DataLayout, split: str, name: str, *, is_checked: bool = True
) -> tuple[Source, NDArray[np.int64]]:
    """Open a split: its source, and the indices of its pictures there. Train and val may share a source.

    Args:
        layout: of the data set.
        split: train, val or test.
        name: of the data set, for messages.
        is_checked: whether annotations must teach something; the audit reports such faults itself.

    Raises:
        ConfigError: there is no such split.
        DataError: files are missing, a picture is listed twice, or there is nothing to learn.
    """
    if split not in SPLITS:
        raise ConfigError(f"split={split}: there is no such split; choose one of {', '.join(SPLITS)}.")
    if split == "train" and layout.mix:
        mixed = open_mix(layout, layout.mix)
        return mixed, np.arange(len(mixed.names))
    cut = split in ("train", "val") and layout.splits["val"] is None
    where = _where(layout, split, name, cut=cut)
    drawing = layout.drawing if split == "train" else replace(layout.drawing, gaps=False)
    source = open_source(layout, where, drawing)
    if not len(source.names):
        without = "" if where == "train" else f", or leave it out: data.{where}=null"
        raise DataError(f"the {where} split of the data set {name} has no picture; add some{without}.")
    checked = source if is_checked and isinstance(source, CocoSource) else None
    is_learned = split == "train" and not layout.prefer
    if checked:
        check_entries(checked.index)
        if is_learned:
            require_learnable(checked.index, checked.channels, named=layout.categories is not None)
        if where == split:
            _tell_unlearned(checked)
    picks = np.arange(len(source.names))
    if cut:
        train, val = split_by_place(source.names, layout.val_share, layout.place)
        picks = train if split == "train" else val
        if split == "val":
            _warn_of_cut(layout, name, source.names, val)
    if checked:
        _check_picks(checked, picks, split, is_learned=is_learned)
    return source, picks


def refusal(layout: DataLayout, name: str) -> str | None:
    """Open every split as train.py does; return the sentence it would end in, None if it can train.

    For scripts that tell what to type next. Warnings are left to the training.
    """
    logging.disable(logging.WARNING)
    try:
        source, _ = open_split(layout, "train", name)
        for split in ("val", "test") if layout.splits["test"] else ("val",):
            open_split(replace(layout, prefer=source.categories), split, name)
    except RooftopError as error:
        return str(error)
    finally:
        logging.disable(logging.NOTSET)
    return None


def _where(layout: DataLayout, split: str, name: str, *, cut: bool) -> str:
    """Return the split whose pictures are opened: train if val is `cut` from it.

    Raises:
        ConfigError: the data set has no such split.
    """
    if cut and layout.mix:
        raise ConfigError(
            f"the data set {name} is a mix (data.mix), and no validation split is cut from a mix; name other "
            "pictures: 'data.val={images: ..., annotations: ...}'."
        )
    where = "train" if cut else split
    if layout.splits[where] is None:
        known = [key for key in SPLITS if layout.splits[key] or (key == "val" and layout.splits["train"])]
        instead = f"choose one of {', '.join(known)}" if known else f"name its pictures: data.{split}={{images: ...}}"
        raise ConfigError(f"the data set {name} has no {split} split; {instead}.")
    return where


def check_entries(index: Index) -> None:
    """Check that no picture has two entries: the truth of each would lack the annotations of the other.

    Raises:
        DataError: a picture has several.
    """
    twice = repeated(index.names)
    if twice:
        name, count = next(iter(twice.items()))
        others = f", and {len(twice) - 1:,} more pictures so" if len(twice) > 1 else ""
        raise DataError(
            f"{index.source}: {brief(name)} has {count:,} entries{others}, each with its own annotations; "
            "check_data.py with fix=FOLDER joins them."
        )


def _tell_unlearned(source: CocoSource) -> None:
    """Log categories left out, and annotations that are not learned, with their number."""
    found, chosen = lessons(source.index), {i for channel in source.channels for i in channel}
    left_out = [lesson for lesson in found if lesson.category.id not in chosen and not lesson.is_learnable]
    asked = [lesson for lesson in found if lesson.category.id in chosen]
    file, total = source.index.source, sum(lesson.total for lesson in asked)
    if left_out:
        log.warning(
            "%s: categories without an annotation to learn are left out: %s",
            *(file, first_names([lesson.counted for lesson in left_out])),
        )
    joined = [source.categories[i] for i, channel in enumerate(source.channels) if len(channel) > 1]
    if joined:
        log.warning("%s: categories of one name are learned as one: %s", file, first_names(joined))
    for count, what, remedy in (
        (sum(lesson.crowds for lesson in asked), "marked iscrowd and not judged", CROWD_REMEDY),
        (sum(lesson.normalised for lesson in asked), "with coordinates from 0 to 1", NORMALISED_REMEDY),
    ):
        if count:
            log.warning("%s: %s of %s annotations are %s; %s", file, f"{count:,}", f"{total:,}", what, remedy)


def _check_picks(source: CocoSource, picks: NDArray[np.int64], split: str, *, is_learned: bool) -> None:
    """Check that the pictures of a split, maybe a part of its file, have something to learn or to judge.

    Raises:
        DataError: there is nothing to learn in the training pictures.
    """
    known = {lesson.category.id for lesson in lessons(source.index, picks) if lesson.is_learnable}
    poor = [name for name, channel in zip(source.categories, source.channels, strict=True) if known.isdisjoint(channel)]
    if not poor:
        return
    if is_learned and len(poor) == len(source.categories):
        raise DataError(
            f"{source.index.source}: nothing to learn lies on the {len(picks):,} pictures left for training; name "
            "others for validation: 'data.val={images: ..., annotations: ...}'."
        )
    log.warning(
        "%s: %s: not one annotation of %s that can be %s",
        *(source.index.source, split, first_names(poor), "learned" if is_learned else "judged"),
    )


def _warn_of_cut(layout: DataLayout, name: str, names: Sequence[str], val: NDArray[np.int64]) -> None:
    """Warn of a validation split far from the wanted size, and of file names without location."""
    if not is_near(len(val) / len(names), layout.val_share):
        log.warning(
            "%s: val gets %.1f %% of the pictures instead of %.0f %%: places are not divided; set a finer "
            "data.place, or name data.val.",
            *(name, 100 * len(val) / len(names), 100 * layout.val_share),
        )
    told = has_location(names)
    if not layout.place and not told.all():
        log.warning(
            "%s: %s of %s file names carry no location (%s, ...); these pictures are split one by one, and "
            "neighbours may land in both train and val; set data.place, or name data.val.",
            *(name, f"{np.count_nonzero(~told):,}", f"{len(told):,}", names[int(np.argmin(told))]),
        )


def open_mix(layout: DataLayout, mix: dict[str, dict[str, Any]]) -> MixedSource:
    """Open the parts of a mix of sources.

    Raises:
        DataError: folders or files are missing, a part is empty, or there is nothing to learn.
    """
    check_layout(layout.root, {name: {key: rule[key] for key in PATHS} for name, rule in mix.items()})
    parts = {name: take(_open_part(layout, rule, layout.drawing), rule, name) for name, rule in mix.items()}
    poor = []
    for name, part in parts.items():
        if not isinstance(part.source, CocoSource):
            continue
        check_entries(part.source.index)
        _tell_unlearned(part.source)
        if not any(lesson.is_learnable for lesson in lessons(part.source.index, part.picks)):
            poor.append(part.source)
            log.warning("data.mix.%s: not one annotation that can be learned", name)
    if len(poor) == len(parts):
        require_learnable(poor[0].index, poor[0].channels)
        raise DataError("data.mix: the chosen pictures have nothing to learn; correct match and skip of its parts.")
    return MixedSource(parts)


def open_source(layout: DataLayout, split: str, drawing: Drawing) -> Source:
    """Open the pictures and truth of a split.

    Raises:
        DataError: folders or files are missing; the message draws the expected tree.
    """
    part = layout.splits[split]
    assert part is not None
    check_layout(layout.root, {key: value for key, value in layout.splits.items() if value})
    return _open_part(layout, part, drawing, layout.masks / split if layout.masks else None)


def _open_part(layout: DataLayout, part: dict[str, Any], drawing: Drawing, masks: Path | None = None) -> Source:
    if layout.source:
        return _open_own(layout, layout.source, part, drawing)
    images = layout.root / str(part["images"])
    if not part["masks"] and not part["annotations"]:
        raise DataError(f"{images}: these pictures have neither annotations nor masks; name one of them.")
    if part["masks"]:
        if drawing.targets != (ROOF,):
            raise DataError(
                f"{layout.root / part['masks']}: mask pictures do not separate one roof from the next, as "
                f"data.targets={list(drawing.targets)} needs; give annotations, or data.targets=[{ROOF}]."
            )
        return MaskSource(images, layout.root / part["masks"], reading=layout.reading, values=layout.mask_values)
    index = open_index(layout.root / str(part["annotations"]), cache=layout.cache)
    for faults in (index.rejected, index.damaged):
        if len(faults):
            listed = "; ".join(f"{identity}: {reason}" for identity, reason in faults.listed[:5])
            log.warning("%s: %s (%s%s)", part["annotations"], faults, listed, "; ..." * (len(faults) > 5))
    return CocoSource(
        images, index, layout.categories, masks, drawing=drawing, reading=layout.reading, prefer=layout.prefer
    )


def _open_own(layout: DataLayout, node: Mapping[str, Any], part: Mapping[str, Any], drawing: Drawing) -> Source:
    """Open a part by the class of `data.source`.

    Raises:
        ConfigError: the class refuses its values, or is no source.
        DataError: there are not as many sizes as names, or targets that only annotations have.
    """
    if drawing.targets != (ROOF,):
        raise DataError(
            f"data.source: a class of your own draws only roofs, not data.targets={list(drawing.targets)}; set "
            f"data.targets=[{ROOF}]."
        )
    source = build(node, "data.source", **{key: layout.root / part[key] for key in PATHS if part[key]})
    name = type(source).__name__
    if Source not in type(source).__mro__:
        raise ConfigError(f"data.source: {name} is no subclass of rooftop.data.sources.Source; make it one.")
    if np.shape(source.sizes) != (len(source.names), 2):
        raise DataError(
            f"data.source: {name} has {len(source.names)} names, but sizes of the shape {np.shape(source.sizes)}; give "
            "height and width for each, as an array (N, 2)."
        )
    source.sizes = np.asarray(source.sizes, dtype=np.int32)
    source.read_with(layout.reading)
    return source  # type: ignore[no-any-return]


def _targets(names: Sequence[str]) -> tuple[str, ...]:
    """Check the targets: known names, roof first, nothing twice."""
    for name in names:
        if name not in TARGETS:
            near = get_close_matches(name, TARGETS, 1, 0)[0]
            raise ConfigError(f"data.targets: there is no target {name}: did you mean {near}?")
    if [*names][:1] != [ROOF] or len(set(names)) < len(names):
        raise ConfigError(f"data.targets={[*names]}: name {ROOF} first and nothing twice.")
    return tuple(names)
