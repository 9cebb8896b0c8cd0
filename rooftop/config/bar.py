"""The progress bar of scripts that count: how many of how many, how fast, how long still."""

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TimeRemainingColumn


def counting_bar() -> Progress:
    """A bar without tasks yet."""
    return Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )
