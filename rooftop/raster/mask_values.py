"""Meaning of the values of a mask picture: roof, ground, not judged.

Labelling tools write masks in many forms. The usual ones are recognised by their values: 0 and 255, or 0 and 1, where
255 beside 1 is not judged (the ignore index of Pascal VOC and most training code). All other forms are refused until
the configuration names the values: a guess may turn roofs and ground around without a sign.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftop.errors import ConfigError, DataError

Value = int | tuple[int, ...]  # a number, or a colour (red, green, blue)
Valid = NDArray[np.bool_]

NONZERO, BRIGHT = "nonzero", "bright"
MIDDLE = 127  # the highest value of ground where 255 is roof
_NEAR = 64  # lossy compression moves 0 and 255 by less
_MOST_BETWEEN = 0.1  # share of pixels that lossy compression may leave between ground and roof
_SHOWN = 6  # values in a message
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)  # more often ground than roof


@dataclass(frozen=True)
class MaskValues:
    """Which values of mask pictures are roof, and which are not judged; all others are ground.

    Attributes:
        roof: values, or NONZERO (one number a roof), or BRIGHT (above 127); None: by the usual forms.
        ignored: values that are not judged; None: 255 beside 1 in the usual forms, else none.
        by_one: other masks of the set use 1 for roof, so 255 is not judged in a mask without 1.
    """

    roof: str | tuple[Value, ...] | None = None
    ignored: tuple[Value, ...] | None = None
    by_one: bool = False

    @classmethod
    def of(cls, roof: Any, ignored: Any) -> "MaskValues":
        """Check `data.roof_values` and `data.ignored_values`.

        Raises:
            ConfigError: other than null, a list of whole numbers or of colours, or one of the two words.
        """
        if isinstance(roof, str) and roof not in (NONZERO, BRIGHT):
            raise ConfigError(f"data.roof_values={roof}: write {NONZERO}, {BRIGHT}, or values such as [1].")
        named = roof if roof is None or isinstance(roof, str) else _named(roof, "roof_values")
        return cls(named, None if ignored is None else _named(ignored, "ignored_values"))

    def settled(self, found: Container[Value]) -> "MaskValues":
        """Return the meaning for a whole set of masks, given the values found in it."""
        return replace(self, by_one=self.roof is None and 1 in found)

    def split(self, values: NDArray[Any], found: Sequence[Value], path: Any) -> tuple[NDArray[np.uint8], Valid | None]:
        """Tell roof, ground and pixels without judgement apart.

        Args:
            values: whole numbers (H, W), or colours uint8 (H, W, 3).
            found: the distinct values of `values`.
            path: for messages.

        Returns:
            Mask uint8 (H, W), 1 = roof; and valid bool (H, W), or None: all pixels are judged.

        Raises:
            DataError: the values are of no usual form, and the configuration does not name them.
        """
        roof, ignored = self._usual(values, found, path) if self.roof is None else (self.roof, self.ignored or ())
        if self.roof is not None:
            self._check_named(found, path)
        if ignored:
            judged = ~_among(values, ignored)
            valid = None if judged.all() else judged
        else:
            valid = None
        if isinstance(roof, str):
            if values.ndim == 3:
                raise DataError(f"{path}: holds colours; name those of roofs: 'data.roof_values=[[255,0,0]]'.")
            chosen = values > (MIDDLE if roof == BRIGHT else 0)
        else:
            chosen = _among(values, roof)
        mask = chosen.astype(np.uint8)
        if valid is not None:
            mask[~valid] = 0
        return mask, valid

    def has_roof(self, found: Sequence[Value], path: Any) -> bool:
        """Report whether a mask with these distinct values shows a roof; raises as `split`."""
        return bool(self.split(np.array([found]), found, path)[0].any())

    def _usual(
        self, values: NDArray[Any], found: Sequence[Value], path: Any
    ) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
        """Return the values for roof and for not judged of a usual form."""
        numbers, also = set(found), self.ignored or ()
        one = (1 in numbers) or self.by_one
        usual = {0, 1, 255} if one else {0, 255}
        if numbers - set(also) <= usual and not (one and 255 in numbers and not numbers & {0, *also}):
            return ((1,), also or (255,)) if one else ((255,), also)
        raise DataError(f"{path}: {_fault(values, found)}")

    def _check_named(self, found: Sequence[Value], path: Any) -> None:
        """Refuse an undecided 255: ground or not judged."""
        roof = self.roof if isinstance(self.roof, tuple) else ()
        numbers = roof and all(isinstance(value, int) for value in roof)
        if numbers and self.ignored is None and 255 in found and 255 not in roof:
            raise DataError(
                f"{path}: holds 255 beside data.roof_values={_plain(roof)}; set data.ignored_values=[255] "
                "if nobody judged there, or data.ignored_values=[] if it is ground."
            )


USUAL = MaskValues()


def is_bright_or_dark(values: NDArray[np.uint8]) -> bool:
    """Report whether a lossy picture uint8 (H, W) shows ground and roof as 0 and 255, apart from compression."""
    between = np.count_nonzero((values >= _NEAR) & (values <= 255 - _NEAR))
    return bool(between <= _MOST_BETWEEN * values.size)


def distinct(values: NDArray[Any]) -> list[Value]:
    """Return the distinct values, sorted: numbers of (H, W), or colours of (H, W, 3)."""
    if values.ndim == 2:
        if values.dtype == np.uint8:
            return [int(value) for value in np.flatnonzero(np.bincount(values.ravel(), minlength=256))]
        return [int(value) for value in np.unique(values)]
    packed = np.unique(_packed(values))
    return [(int(v) >> 16, (int(v) >> 8) & 255, int(v) & 255) for v in packed]


def _among(values: NDArray[Any], wanted: Sequence[Value]) -> NDArray[np.bool_]:
    """Report for each pixel whether it has one of these values, bool (H, W)."""
    if values.ndim == 2:
        numbers = [value for value in wanted if isinstance(value, int)]
        if len(numbers) == 1:
            return np.asarray(values == numbers[0])
        return np.isin(values, numbers)
    colours = [value for value in wanted if isinstance(value, tuple)]
    packed = [red << 16 | green << 8 | blue for red, green, blue in colours]
    return np.isin(_packed(values), packed)


def _packed(values: NDArray[Any]) -> NDArray[np.int64]:
    red, green, blue = (values[..., i].astype(np.int64) for i in range(3))
    packed: NDArray[np.int64] = red << 16 | green << 8 | blue
    return packed


def _named(values: Any, key: str) -> tuple[Value, ...]:
    """Check a list of values of the configuration."""
    wrong = ConfigError(f"data.{key}={values}: must be a list of whole numbers or of colours, [1] or [[255,0,0]].")
    if not isinstance(values, list | tuple):
        raise wrong
    named: list[Value] = []
    for value in values:
        colour = isinstance(value, list | tuple) and len(value) == 3
        parts = list(value) if colour else [value]
        if any(isinstance(part, bool) or not isinstance(part, int) for part in parts):
            raise wrong
        named.append(tuple(parts) if colour else parts[0])
    return tuple(named)


def _plain(values: Iterable[Value]) -> str:
    return "[" + ",".join(str(value) if isinstance(value, int) else _plain(value) for value in values) + "]"


def _fault(values: NDArray[Any], found: Sequence[Value]) -> str:
    """Return what a mask holds, and the remedy."""
    if values.ndim == 3:
        example = next((value for value in found if value not in (_BLACK, _WHITE)), found[-1])
        return f"holds the colours {listed(found)}; name those of roofs, e.g. 'data.roof_values={_plain([example])}'."
    example = next((value for value in found if value), 1)
    return (
        f"holds the values {listed(found)}; a mask is 0 and 255, or 0 and 1 (255 beside 1: not judged); name the "
        f"values of roofs, e.g. data.roof_values=[{example}], or set it to {NONZERO} (one number a roof) or {BRIGHT} "
        "(above 127)."
    )


def listed(found: Iterable[Value]) -> str:
    """Name the first of these values, and the number of the others."""
    some = sorted(found, key=lambda value: value if isinstance(value, tuple) else (value,))
    shown = ", ".join(_plain(value) if isinstance(value, tuple) else str(value) for value in some[:_SHOWN])
    return shown + (f" and {len(some) - _SHOWN:,} more" if len(some) > _SHOWN else "")
