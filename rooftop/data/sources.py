"""Sources of pictures and truth, paired by name, never by position.

A COCO json, a folder of mask pictures, or a mix of sources, each with its own ground sampling distance and share of
the draws.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Protocol
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from rooftop.coco import CocoObject, Index, MaskFolder, choose_channels, picture_path, unpaired
from rooftop.errors import DataError, brief, first_names
from rooftop.raster.mask_values import USUAL, MaskValues
from rooftop.raster.picture import list_pictures, read_mask, read_mask_with_valid, settle_mask_values
from rooftop.raster.rasterise import number
from rooftop.raster.reading import PlainReading, Reading
from rooftop.raster.targets import ROOF, TARGETS, gaps

log = logging.getLogger(__name__)
Truth = tuple[NDArray[np.uint8], NDArray[np.bool_]]


class Source(Protocol):
    """Pictures with their truth. Subclass it for a data set of another form: `data.source._target_`.

    Such a class is made for each split, with those of the split's keys `images`, `annotations` and `masks` that are
    set, as paths, and the further keys of `data.source`. It is copied to the loader processes by pickle.

    Attributes:
        names: file names, in a stable order; their stems name the outputs.
        sizes: int (N, 2), height and width in pixels.
        categories: names of the K categories, the channels of the truth.
        index: annotations in COCO's form; None: there are none.
        gsds: of each picture, metres per pixel, float (N,), for a mix of pictures; None: `data.gsd` holds for all.
        shares: of each picture in the draws, float (N,), their sum is 1; None: all alike.
    """

    names: Sequence[str]
    sizes: NDArray[np.int32]
    categories: tuple[str, ...]
    index: Index | None = None
    gsds: NDArray[np.float64] | None = None
    shares: NDArray[np.float64] | None = None

    def picture(self, i: int) -> NDArray[np.uint8]:
        """The raw picture, uint8 (H, W, C): RGB, or the bands of `data.bands`."""
        ...

    def truth(self, i: int) -> Truth:
        """Mask uint8 (T K, H, W) of 0 and 1, roof first, and valid bool (H, W)."""
        ...

    def path(self, i: int) -> Path:
        """Return the file of a picture; needed only to measure `data.scale`, and the mean of chosen bands."""
        return Path(self.names[i])

    def read_with(self, reading: Reading) -> None:
        """Read picture files by `reading` from now on; nothing to do for other pictures than files of bands."""

    def picture_id(self, i: int) -> int:
        """Return the number of a picture in predictions and scores; default: its place, from 1."""
        return i + 1

    def category_id(self, k: int) -> int:
        """Return the number of a category in predictions; default: its place, from 1."""
        return k + 1

    def objects(self, i: int) -> Sequence[Sequence[CocoObject]] | None:
        """Return the roofs of each category, for scores of objects; None: each connected part of the mask is one."""
        return None


@dataclass(frozen=True)
class Drawing:
    """Rasterisation of outlines into truth.

    Attributes:
        targets: T names of `rooftop.raster.targets`, roof first; one channel per target and category.
        gaps: remove a pixel between touching roofs: the network learns to keep them apart.
    """

    targets: tuple[str, ...] = (ROOF,)
    gaps: bool = False


ONLY_ROOFS = Drawing()


def with_data(valid: NDArray[np.bool_], reading: Reading, path: Path) -> NDArray[np.bool_]:
    """Restrict valid, bool (H, W), to pixels with data."""
    seen = reading.valid(path)
    return valid if seen is None or seen.shape != valid.shape else valid & seen  # `picture` reports a wrong size


class CocoSource(Source):
    """Pictures of a COCO json; masks rasterised on the fly, or read from a folder made by `make_masks.py`.

    Args:
        images: folder of the pictures.
        index: the annotations.
        categories: ids or names; None: all of the json with something to learn.
        masks: folder of `<stem>.png`, or None.
        drawing: channels of the truth.
        reading: reading of picture files.
        prefer: names to take instead of None if the json has all of them.

    Attributes:
        channels: ids of the categories of each channel; categories of one name share it.

    Raises:
        DataError: unknown category, entries without file, several categories with masks on disk, or masks of other
            annotations.
    """

    def __init__(
        self,
        images: Path,
        index: Index,
        categories: list[int | str] | None = None,
        masks: Path | None = None,
        *,
        drawing: Drawing = ONLY_ROOFS,
        reading: Reading | None = None,
        prefer: Sequence[str] = (),
    ) -> None:
        self.images, self.masks, self.drawing = images, masks, drawing
        self.index: Index = index
        self._reading = reading or PlainReading()
        self.names: Sequence[str] = index.names  # in the mapped file, which workers share
        self.sizes = index.sizes
        self.channels = choose_channels(index, categories, prefer)
        self._ids = [i for channel in self.channels for i in channel]
        by_id = {category.id: category.name for category in index.categories}
        self.categories = tuple(by_id[channel[0]] for channel in self.channels)
        if masks is not None and len(self.channels) > 1:
            raise DataError(
                f"data.masks={masks} holds one category; choose one of {first_names(self.categories)} by "
                "data.categories=[NAME], here and for make_masks.py."
            )
        if masks is not None:
            MaskFolder(index, self._ids, masks).check()
        _check_files(images, self.names)

    def path(self, i: int) -> Path:
        """Return the file of a picture."""
        return picture_path(self.images, self.names[i])

    def picture_id(self, i: int) -> int:
        """Return the id of the json."""
        return int(self.index.ids[i])

    def category_id(self, k: int) -> int:
        """Return the first id of the categories that share a channel."""
        return self.channels[k][0]

    def objects(self, i: int) -> list[list[CocoObject]]:
        """Return the annotations of each channel, those that cover no pixel too."""
        found = self.index.scored(i)
        return [[each for each in found if each.category_id in channel] for channel in self.channels]

    def read_with(self, reading: Reading) -> None:
        """Read picture files by `reading` from now on."""
        self._reading = reading

    def picture(self, i: int) -> NDArray[np.uint8]:
        """Read the raw picture, uint8 (H, W, C); raises DataError if its size differs from the json."""
        path = self.path(i)
        pixels = self._reading.picture(path)
        if pixels.shape[:2] != tuple(self.sizes[i]):
            height, width = self.sizes[i]
            turned = pixels.shape[:2] == (width, height)  # viewers and labelling tools apply the EXIF rotation
            remedy = "rotate its pixels if it has an EXIF rotation (not applied)" if turned else "correct the entry"
            raise DataError(
                f"{path}: {pixels.shape[1]} x {pixels.shape[0]} px, but the annotations say {width} x {height}; "
                f"{remedy}, or replace the picture."
            )
        return pixels

    def truth(self, i: int) -> Truth:
        """Return mask uint8 (T K, H, W), roof first, and valid bool (H, W): False on `iscrowd` and without data."""
        mask, valid = self._whole_truth(i)
        valid = with_data(valid, self._reading, self.path(i))
        if self.drawing == ONLY_ROOFS:
            return mask, valid
        size = mask.shape[1:]
        roofs = [item for item in self.index.objects(i) if not item.is_crowd and item.category_id in self._ids]
        numbered = number(roofs, *size)
        if self.drawing.gaps:
            mask = mask * ~gaps(numbered)
        extra = [name for name in self.drawing.targets if name != ROOF]
        by_kind = [[roof for roof in roofs if roof.category_id in channel] for channel in self.channels if extra]
        kinds = [numbered] if len(by_kind) == 1 else [number(of_kind, *size) for of_kind in by_kind]
        return np.stack([*mask, *(TARGETS[name](kind) for name in extra for kind in kinds)]), valid

    def _whole_truth(self, i: int) -> Truth:
        if self.masks is None:
            return self.index.truth(i, self.channels)
        mask = read_mask(self.masks / f"{Path(self.names[i]).stem}.png")
        if mask.shape != tuple(self.sizes[i]):
            raise DataError(f"{self.masks / Path(self.names[i]).stem}.png: not the size of its picture; make it again.")
        if self.index.has_unjudged(i):
            return mask[None], self.index.truth(i, self.channels)[1]
        return mask[None], np.ones(mask.shape, dtype=bool)


def _check_files(images: Path, names: Sequence[str]) -> None:
    found = unpaired(images, names)
    if found.missing:
        spelt = {normalize("NFC", name) for name in found.extra}
        alike = any(normalize("NFC", name) in spelt for name in found.missing)
        remedy = "rename the files: a Mac has written their accents as separate characters (convmv --nfc)"
        remedy = remedy if alike else "add the pictures or remove the entries"
        raise DataError(f"{images}: no file for {first_names(found.missing)}; {remedy}.")
    if found.extra:
        log.warning(
            "%s: %d pictures have no entry and are left out: %s", images, len(found.extra), first_names(found.extra)
        )


class MaskSource(Source):
    """A folder of pictures beside a folder of mask pictures with the same stems.

    Args:
        images: folder of the pictures.
        masks: folder of the masks.
        reading: how picture files are read.
        values: meaning of the values of the masks.

    Raises:
        DataError: a picture without mask, masks of unknown meaning, or not one roof in them.
    """

    def __init__(
        self, images: Path, masks: Path, *, reading: Reading | None = None, values: MaskValues = USUAL
    ) -> None:
        self._reading = reading or PlainReading()
        self.categories: tuple[str, ...] = ("roof",)
        self.paths = list_pictures(images)
        self.names: Sequence[str] = [path.name for path in self.paths]
        by_stem = {_stem(path): path for path in list_pictures(masks)}
        alone = [path.name for path in self.paths if _stem(path) not in by_stem]
        if alone:
            raise DataError(f"{masks}: no mask for {first_names(alone)}; add the masks or remove the pictures.")
        self.masks = [by_stem[_stem(path)] for path in self.paths]
        idle = sorted(set(by_stem) - {_stem(path) for path in self.paths})
        if idle:
            log.warning("%s: %d masks without picture are left out: %s", masks, len(idle), first_names(idle))
        self._values = settle_mask_values(self.masks, values)
        self.sizes = np.array([self._reading.size(path) for path in self.paths], dtype=np.int32)

    def path(self, i: int) -> Path:
        """Return the file of a picture."""
        return self.paths[i]

    def read_with(self, reading: Reading) -> None:
        """Read picture files by `reading` from now on."""
        self._reading = reading

    def picture(self, i: int) -> NDArray[np.uint8]:
        """The raw picture, uint8 (H, W, C)."""
        return self._reading.picture(self.paths[i])

    def truth(self, i: int) -> Truth:
        """Return mask uint8 (1, H, W) and valid bool (H, W): False where the mask says so, and without data."""
        mask, judged = read_mask_with_valid(self.masks[i], self._values)
        if mask.shape != tuple(self.sizes[i]):
            height, width = self.sizes[i]
            raise DataError(
                f"{self.masks[i]}: {mask.shape[1]} x {mask.shape[0]} px, but its picture has {width} x {height}; "
                "make the mask again."
            )
        valid = np.ones(mask.shape, dtype=bool) if judged is None else judged
        return mask[None], with_data(valid, self._reading, self.paths[i])


def _stem(path: Path) -> str:
    """Return the name without suffix, with accents in one normal form (NFC)."""
    return normalize("NFC", path.stem)


@dataclass(frozen=True)
class Part:
    """One source of a mix.

    Attributes:
        source: pictures and truth.
        picks: indices of the chosen pictures.
        gsd: ground sampling distance, metres per pixel.
        weight: share of the draws, relative to the other sources.
    """

    source: Source
    picks: NDArray[np.int64]
    gsd: float
    weight: float


class MixedSource(Source):
    """Several sources as one; all categories of a part count as roof.

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
        """Return the file of a picture."""
        source, at = self._at[i]
        return source.path(at)

    def read_with(self, reading: Reading) -> None:
        """Read picture files by `reading` from now on."""
        for source, _ in self._at:
            source.read_with(reading)

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
        rule: `match`, a regular expression on the start of stems, or None; `skip`, stems to leave out; `gsd`;
            `weight`.
        name: of the part, for messages.

    Raises:
        DataError: nothing is left, or a picture of `skip` does not exist.
    """
    stems = [PurePath(file).stem for file in source.names]
    skip: Sequence[str] = rule["skip"]
    unknown = sorted(set(skip) - set(stems))
    if unknown:
        raise DataError(f"data.mix.{name}.skip: there is no picture {brief(unknown[0])}; remove it from the list.")
    fits = [re.match(rule["match"] or "", stem) is not None and stem not in skip for stem in stems]
    if not any(fits):
        raise DataError(f"data.mix.{name}: no picture fits match={rule['match']}; correct the expression.")
    return Part(source, np.flatnonzero(fits), float(rule["gsd"]), float(rule["weight"]))
