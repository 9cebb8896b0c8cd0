"""What a sweep notes of its jobs, in a file in the folder of each: started again, it runs only what is missing."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from rooftop.config.paths import typed
from rooftop.errors import ConfigError
from rooftop.files import read_json, write_json

NOTE = "job.json"
STARTED, DONE, FAILED = "started", "done", "failed"  # started: and never ended, since it was killed


def done_before(folder: Path, sweep: Path, overrides: Sequence[str]) -> dict[str, Any] | None:
    """The note of a job of these overrides that is done, in whatever folder of the sweep, since numbers change.

    Args:
        folder: of the job that is about to run.
        sweep: the folder with those of all its jobs.
        overrides: of the job.

    Raises:
        ConfigError: the folder holds another job that is done and would be lost.
    """
    here = _done(folder)
    others = (_done(path) for path in sweep.iterdir()) if sweep.is_dir() else ()
    for known in chain([here], others):  # its own first: of a sweep that did not change no other is read
        if known and known["overrides"] == list(overrides):
            return known
    if here:
        raise ConfigError(
            f"{folder} holds another job of this sweep that is done ({' '.join(here['overrides'])}); write new values "
            f"after the old ones, or name another folder than {typed('hydra.sweep.dir', sweep)}."
        )
    return None


def _done(folder: Path) -> dict[str, Any] | None:
    """The note in a folder of a job that is done."""
    known: dict[str, Any] = read_json(folder / NOTE) if (folder / NOTE).is_file() else {"status": None}
    return known if known["status"] == DONE else None


def note(folder: Path, status: str, overrides: Sequence[str], **more: Any) -> None:
    """Write down how a job stands."""
    write_json(folder / NOTE, {"status": status, "overrides": list(overrides), **more})


def note_resumed(folder: Path, score: float | None) -> None:
    """A job of a sweep that stopped or failed was finished on its own; of other folders nothing is noted."""
    if (folder / NOTE).is_file():
        note(folder, DONE, read_json(folder / NOTE)["overrides"], score=score)
