"""Probabilities of scenes whose files are written, until those about all scenes are too."""

from rooftop.errors import RooftopError
from rooftop.inference.canvas import Canvas
from rooftop.inference.waiting import unused


class Kept:
    """What a stopped prediction of many scenes need not predict again; packed, and given up where the disk is full."""

    def __init__(self) -> None:
        self._canvases: list[Canvas] = []

    def add(self, canvas: Canvas) -> None:
        """Keep what this process alone has for now; a disk without room for it costs no more than the keeping."""
        try:
            canvas.pack()
        except RooftopError:
            canvas.remove()
        else:
            self._canvases.append(canvas)

    def open(self, canvas: Canvas) -> None:
        """Make a canvas ready to be filled or read.

        Raises:
            RooftopError: the disk has no room for it, even with nothing kept.
        """
        try:
            canvas.require_room()
        except RooftopError:
            self.remove()
            canvas.require_room()
        canvas.unpack()

    def remove(self) -> None:
        """Delete all but what another prediction has taken up meanwhile, which will delete it."""
        while self._canvases:
            canvas = self._canvases.pop()
            with unused(canvas.folder) as free:
                if free:
                    canvas.remove()
