"""What a sweep notes of its jobs, in a file in the folder of each: started again, it runs only what is missing."""

from collections.abc import Sequence
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
    folders = sweep.iterdir() if sweep.is_dir() else ()
    notes: dict[Path, dict[str, Any]] = {path: read_json(path / NOTE) for path in folders if (path / NOTE).is_file()}
    done = {path: each["overrides"] for path, each in notes.items() if each["status"] == DONE}
    for path, known in done.items():
        if known == list(overrides):
            return notes[path]
    if folder in done:
        raise ConfigError(
            f"{folder} holds another job of this sweep that is done ({' '.join(done[folder])}); write new values after "
            f"the old ones, or name another folder than {typed('hydra.sweep.dir', sweep)}."
        )
    return None


def note(folder: Path, status: str, overrides: Sequence[str], **more: Any) -> None:
    """Write down how a job stands."""
    write_json(folder / NOTE, {"status": status, "overrides": list(overrides), **more})


def note_resumed(folder: Path, score: float | None) -> None:
    """A job of a sweep that stopped or failed was finished on its own; of other folders nothing is noted."""
    if (folder / NOTE).is_file():
        note(folder, DONE, read_json(folder / NOTE)["overrides"], score=score)
