"""A bar that tells how fast pixels become final, and for how long still."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Rate(ProgressColumn):
    """Millions of pixels a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed / 1e6:.2f} Mpx/s")


@contextmanager
def pixel_bar(name: str, total: int, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a bar; yields what is told how many pixels are done.

    Args:
        name: shown before the bar.
        total: pixels of the scene.
        shown: whether this process is the one that shows it.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, disable=not shown) as progress:
        task = progress.add_task(name, total=total)
        yield lambda pixels: progress.update(task, completed=pixels)
