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

from rooftop.coco import open_index
from rooftop.data.sources import CocoSource, Drawing, MaskSource, MixedSource, Source, take
from rooftop.data.splits import has_location, is_near, split_by_place
from rooftop.errors import ConfigError, DataError
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
    return folder.is_dir() and next(folder.iterdir(), None) is None


SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataLayout:
    """Location and splits of a data set: the data configuration without the settings for loading."""

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
    )


def open_split(layout: DataLayout, split: str, name: str) -> tuple[Source, NDArray[np.int64]]:
    """Open a split: its source, and the indices of its pictures there. Train and val may share a source."""
    if split not in SPLITS:
        raise ConfigError(f"split={split}: there is no such split; choose one of {', '.join(SPLITS)}.")
    if split == "train" and layout.mix:
        mixed = open_mix(layout, layout.mix)
        return mixed, np.arange(len(mixed.names))
    cut = split in ("train", "val") and layout.splits["val"] is None
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
    drawing = layout.drawing if split == "train" else replace(layout.drawing, gaps=False)
    source = open_source(layout, where, drawing)
    if not len(source.names):
        without = "" if where == "train" else f", or leave it out: data.{where}=null"
        raise DataError(f"the {where} split of the data set {name} has no picture; add some{without}.")
    if split == "train" and isinstance(source, CocoSource) and not source.index.annotation_count:
        raise DataError(f"{source.index.source}: not one annotation, so there is nothing to learn; export it again.")
    if not cut:
        return source, np.arange(len(source.names))
    train, val = split_by_place(source.names, layout.val_share, layout.place)
    if split == "train":
        return source, train
    _warn_of_cut(layout, name, source.names, val)
    return source, val


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
        DataError: folders or files are missing, or a part is empty.
    """
    check_layout(layout.root, {name: {key: rule[key] for key in PATHS} for name, rule in mix.items()})
    return MixedSource({name: take(_open_part(layout, rule, layout.drawing), rule, name) for name, rule in mix.items()})


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
    if len(index.rejected):
        listed = "; ".join(f"{identity}: {reason}" for identity, reason in index.rejected.listed[:5])
        log.warning("%s: %s (%s%s)", part["annotations"], index.rejected, listed, "; ..." * (len(index.rejected) > 5))
    return CocoSource(images, index, layout.categories, masks, drawing=drawing, reading=layout.reading)


def _targets(names: Sequence[str]) -> tuple[str, ...]:
    """Check the targets: known names, roof first, nothing twice."""
    for name in names:
        if name not in TARGETS:
            near = get_close_matches(name, TARGETS, 1, 0)[0]
            raise ConfigError(f"data.targets: there is no target {name}: did you mean {near}?")
    if [*names][:1] != [ROOF] or len(set(names)) < len(names):
        raise ConfigError(f"data.targets={[*names]}: name {ROOF} first and nothing twice.")
    return tuple(names)
