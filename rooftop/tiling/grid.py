"""Where the tiles of a raster lie, and to which split each belongs: by place, so that no ground is in two splits."""

from collections.abc import Iterator, Mapping

from rooftop.raster.windows import Window


def windows(height: int, width: int, *, size: int, overlap: int) -> Iterator[Window]:
    """Squares of `size` pixels that overlap by `overlap`, row by row; the last of a row or column is moved back to fit.

    A raster smaller than a tile gives one tile of its own size.
    """
    for row in _starts(height, size, size - overlap):
        for column in _starts(width, size, size - overlap):
            yield Window(column, row, min(size, width), min(size, height))


def strips(length: int, stride: int, shares: Mapping[str, float]) -> dict[str, tuple[int, int]]:
    """Cut an axis into one strip a split.

    Borders lie where tiles begin, so that tiles without overlap fit exactly.

    Args:
        length: of the axis, in pixels.
        stride: from one tile to the next, in pixels.
        shares: of the axis, by split, in order; together 1.

    Returns:
        first pixel and end of each strip; strips of no length are left out.
    """
    found, start, reached = {}, 0, 0.0
    for split, share in shares.items():
        reached += share
        end = length if reached > 1 - 1e-9 else min(length, round(reached * length / stride) * stride)
        if end > start:
            found[split] = (start, end)
        start = end
    return found


def split_of(window: Window, strip: Mapping[str, tuple[int, int]], *, is_along_rows: bool) -> str | None:
    """The split whose strip holds the window, None if it lies across a border.

    Args:
        window: a tile.
        strip: of each split.
        is_along_rows: whether the strips follow one another from top to bottom.
    """
    first, length = (window.row, window.height) if is_along_rows else (window.column, window.width)
    for split, (start, end) in strip.items():
        if start <= first and first + length <= end:
            return split
    return None


def _starts(length: int, size: int, stride: int) -> list[int]:
    """First pixels of the tiles along an axis."""
    starts = list(range(0, max(length - size, 0) + 1, stride))
    return starts if starts[-1] + size >= length else [*starts, length - size]
