"""Which runs to score: run folders, sweep folders and globs; what differs between them, and what only by the seed."""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rooftop.config import Stored, stored_settings
from rooftop.config.sweep import by_number
from rooftop.errors import RunError
from rooftop.files import visible
from rooftop.run import CARD

log = logging.getLogger(__name__)

SEED = "seed"
NO_INFLUENCE = (  # settings that change no weights
    *("logger", "pictures", "resume", "data.cache", "data.workers", "callbacks.progress", "callbacks.learning_rate"),
    *("trainer.log_every_n_steps", "trainer.profiler", "trainer.enable_progress_bar", "hydra"),
)
MOST_LETTERS = 24  # of a value in a label
MOST_DEEP = 4  # folders between a sweep and its jobs


def find_runs(named: Sequence[str]) -> list[str]:
    """Expand sweep folders and globs to the finished runs inside; the name of a run stays.

    Args:
        named: run folders, folders of a sweep or of several runs, globs.

    Returns:
        Run folders; numbered jobs in the order of their numbers.

    Raises:
        RunError: a glob matches no finished run.
    """
    found: list[str] = []
    for name in named:
        pattern = glob.has_magic(name) and not Path(name).exists()
        folders = [Path(each) for each in glob.glob(name, recursive=True)] if pattern else [Path(name)]  # noqa: PTH207
        runs = {run for folder in folders for run in _runs_in(folder, MOST_DEEP)}
        if not runs and pattern:
            raise RunError(f"run={name}: no finished run matches; name a run folder, the folder of a sweep, or a glob.")
        # a folder without a run is left as it is: `load` says what is wrong with it
        found += [str(run) for run in sorted(runs or folders, key=by_number)]
    return found


def _runs_in(folder: Path, deep: int) -> Iterator[Path]:
    """Yield the finished runs in a folder, or the folder itself; warn of trainings that have not finished."""
    if (folder / CARD).is_file():
        yield folder
    elif (folder / ".hydra").is_dir():
        log.warning("%s is left out: it has no card.json, so its training has not finished", folder)
    elif deep and folder.is_dir():
        for inner in visible(folder):
            if inner.is_dir() and not inner.is_symlink():
                yield from _runs_in(inner, deep - 1)


class Group(NamedTuple):
    """Runs that differ only by their seed, or a single run.

    Attributes:
        label: what tells it from the other groups, such as "model.depth=3".
        members: indices of the runs.
    """

    label: str
    members: list[int]


def group_by_seed(folders: Sequence[str], names: Sequence[str]) -> list[Group]:
    """Group runs whose stored settings differ only by the seed, and label the groups by what differs between them.

    Settings without influence on the weights (`NO_INFLUENCE`) do not count. A run without stored settings, and one of
    two with the same seed, is a group of its own.

    Args:
        folders: run folders.
        names: a unique name of each, for groups that settings cannot tell apart.
    """
    stored = [stored_settings(Path(folder)) for folder in folders]
    alike: dict[object, list[int]] = {}
    for i, each in enumerate(stored):
        alike.setdefault(i if each is None else frozenset(_counting(each).items()), []).append(i)
    members: list[list[int]] = []
    for same in alike.values():
        seeds = [each.settings.get(SEED) for i in same if (each := stored[i])]
        repeated = len({*seeds}) < len(seeds)
        members += [[i] for i in same] if repeated else [same]
    labels = _labels([stored[same[0]] for same in members], [names[same[0]] for same in members])
    return [Group(label, same) for label, same in zip(labels, members, strict=True)]


def _counting(stored: Stored) -> dict[str, str]:
    """Return the settings that may change weights, without the seed."""
    return {key: value for key, value in stored.settings.items() if _counts(key)}


def _counts(key: str) -> bool:
    return key != SEED and not any(f"{key}.".startswith(f"{other}.") for other in NO_INFLUENCE)


def _labels(firsts: Sequence[Stored | None], names: Sequence[str]) -> list[str]:
    """Label each group by the values of the keys that differ; its name where this tells nothing."""
    known = [each for each in firsts if each]
    keys = _differing(known)
    labels = [
        " ".join(f"{_short(key)}={_value(each, key)}" for key in keys) if each and keys else name
        for each, name in zip(firsts, names, strict=True)
    ]
    return [
        f"{label} ({name})" if labels.count(label) > 1 else label for label, name in zip(labels, names, strict=True)
    ]


def _differing(known: Sequence[Stored]) -> list[str]:
    """List the keys that tell trainings apart: those typed at their command lines, or all if these do not suffice."""
    typed = dict.fromkeys(key for each in known for key in each.typed if _counts(key))
    keys = [key for key in typed if len({_value(each, key) for each in known}) > 1]
    wanted = {frozenset(_counting(each).items()) for each in known}
    if len({tuple(_value(each, key) for key in keys) for each in known}) == len(wanted):
        return keys
    every = dict.fromkeys(key for each in known for key in _counting(each))
    more = (key for key in every if not any(key.startswith(f"{other}.") for other in keys))
    return [*keys, *(key for key in more if key not in keys and len({_value(each, key) for each in known}) > 1)]


def _short(key: str) -> str:
    return key.removesuffix("._target_")


def _value(stored: Stored, key: str) -> str:
    """Return a setting as a short text: the name of a choice, the end of a path."""
    inside = [
        f"{name[len(key) + 1 :]}: {value}" for name, value in stored.settings.items() if name.startswith(f"{key}.")
    ]
    value = stored.choices.get(key) or stored.settings.get(key) or f"{{{', '.join(inside)}}}"
    value = value.rpartition(".")[2] if key.endswith("_target_") else value
    text = "null" if value in ("None", "{}") else Path(value).name if "/" in value else value
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 2]}.."
