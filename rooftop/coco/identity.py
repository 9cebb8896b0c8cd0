"""Which picture and category of an annotation file a result means: by name where it has one, else by id."""

from collections import defaultdict
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Protocol

from rooftop.coco.index import Index


class Named(Protocol):
    """A result.

    picture, category: names of a file and a category, where the ids are not those of the annotations: `predict.py` has
    never seen them and counts from 1.
    """

    image_id: int
    category_id: int
    picture: Any
    category: Any


class Identity:
    """Ids of an annotation file for results that may have been numbered without it."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._pictures, self._categories = set(index.ids.tolist()), set(index.category_ids(None))

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        """Ids by the last part of the file's name, which is all that a picture's name says without its folder."""
        found: dict[str, list[int]] = defaultdict(list)
        for name, number in zip(self._index.names, self._index.ids.tolist(), strict=True):
            found[PurePosixPath(name).name].append(number)
        return found

    def of(self, result: Named) -> tuple[int, int]:
        """Picture id and category id.

        Raises:
            LookupError: the annotations have no such picture or category, or two; its text says so, up to the file.
        """
        return self._picture(result), self._category(result)

    def _picture(self, result: Named) -> int:
        if not result.picture:
            return _known(result.image_id, self._pictures, f"image_id {result.image_id} is no picture of")
        found = self._by_name.get(str(result.picture), [])
        if len(found) != 1:
            what = f"{len(found)} pictures" if found else "no picture"
            raise LookupError(f"{result.picture} is the name of {what} of")
        return found[0]

    def _category(self, result: Named) -> int:
        """Where there is one category, it is the one that is meant, whatever it is called: roof, building, house."""
        if not result.picture:
            return _known(result.category_id, self._categories, f"category_id {result.category_id} is no category of")
        named = [known.id for known in self._index.categories if known.name == result.category]
        found = named or ([*self._categories] if len(self._categories) == 1 else [])
        if not found:
            raise LookupError(f"{result.category} is no category of")
        return found[0]


def _known(number: int, there: set[int], unless: str) -> int:
    if number not in there:
        raise LookupError(unless)
    return number
