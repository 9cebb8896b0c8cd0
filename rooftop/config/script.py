"""The frame of every entry script: check first, end errors in one sentence, run jobs of a sweep.

A command such as `python train.py model.depth=4 loss=dice` takes these steps:

1. `script` passes `["model.depth=4", "loss=dice"]` to `compose_for_check`. A mistake ends here: no folder is made.
2. `claimed` makes and locks `outputs/train/<date>_<time>/`. Hydra composes the same settings and starts the log there.
3. `_job` checks the settings again, since the check converts types, and calls `main(cfg)`.
4. A `RooftopError` on the way is printed as `error: <sentence>`; the exit code is 2.

With `-m`, steps 1 and 2 are done once and step 3 once per job; a failed job does not stop the others.

Exit codes: 0 success, 1 a check found faults or a job failed, 2 wrong input or configuration, 130 interrupted.
"""

import errno
import functools
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from rooftop.config import sweep
from rooftop.config.check import check
from rooftop.config.command_line import compose_for_check
from rooftop.config.output_folder import claimed, in_use, is_first_rank
from rooftop.config.paths import CONF, as_typed, program, shell_setting, working_folder
from rooftop.errors import RooftopError, brief

log = logging.getLogger(__name__)
Main = Callable[[DictConfig], float | None]
FULL_ERROR = "HYDRA_FULL_ERROR"
FINETUNING_PICTURES, FINETUNING_GSD = 300, (0.2, 0.65)  # see docs/finetune.md; metres per pixel of the included weights


def script(function: Main) -> Callable[[], None]:
    """Turn `main(cfg)` into an entry script with the root configuration `conf/<file name>.yaml`."""
    name = Path(function.__code__.co_filename).stem

    @functools.wraps(function)
    def entry() -> None:
        with _one_sentence():
            command = compose_for_check(name, sys.argv[1:])
            job = functools.wraps(function)(functools.partial(_job, function, name))
            with ExitStack() as stack:
                output = stack.enter_context(claimed(command.folder)) if command.folder else []
                sys.argv[1:] = [*command.arguments, *output]
                if "--help" in command.arguments:
                    stack.enter_context(_help_as_typed())
                hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)()

    return entry


def run_folder() -> Path:
    """Return the output folder of the running job as an absolute path."""
    return Path(HydraConfig.get().runtime.output_dir)


def overrides() -> list[str]:
    """Return the settings of the command line, one `key=value` each."""
    return list(HydraConfig.get().overrides.task)


def choices() -> dict[str, str]:
    """Return the file chosen in each group of the configuration, such as {"loss": "dice"}; none of a resumed run."""
    chosen = HydraConfig.get().runtime.choices
    return {str(key): str(value) for key, value in chosen.items() if not str(key).startswith("hydra") and value}


def data_settings(name: str, *, without: Container[str] = ()) -> list[str]:
    """Return the settings of the data set from the command line, quoted for the shell.

    Args:
        name: of the data set, its file in `conf/data/`.
        without: keys to leave out.
    """
    typed = [(word.lstrip("+~").partition("=")[0], word) for word in overrides()]
    typed = [(key, word) for key, word in typed if key == "data" or key.startswith("data.")]
    group = [] if "data" in dict(typed) else [f"data={name}"]
    return group + [_retyped(key, word) for key, word in typed if key not in without]


def is_for_finetuning(pictures: int, gsd: float | None, *, rgb: bool) -> bool:
    """Return whether training should begin with the included weights: few pictures of a kind that these know.

    Args:
        pictures: of the training split.
        gsd: metres per pixel; None if unknown.
        rgb: the pictures are 8-bit RGB.
    """
    low, high = FINETUNING_GSD
    return rgb and 0 < pictures <= FINETUNING_PICTURES and gsd is not None and low <= gsd <= high


def _retyped(key: str, word: str) -> str:
    """Quote a setting for the shell; a text in quotes keeps them only where it needs them."""
    text = word.removeprefix(f"{key}=")
    if len(text) > 1 and text[0] == text[-1] == "'" and "'" not in text[1:-1]:
        return shell_setting(key, text[1:-1])
    return shlex.quote(word)


def in_sweep() -> bool:
    """Return whether the running job belongs to a sweep."""
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def progress_bar() -> Progress:
    """Return a progress bar with count, speed and remaining time; tasks are added by the caller."""
    return Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )


@contextmanager
def _help_as_typed() -> Iterator[None]:
    """Print what the block prints with its commands as the person types them."""
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        print(as_typed(printed.getvalue()), end="", flush=True)


# --- one job ---


def _job(function: Main, name: str, cfg: DictConfig) -> float | None:
    return _sweep_job(function, name, cfg) if in_sweep() else _single_job(function, name, cfg)


def _single_job(function: Main, name: str, cfg: DictConfig) -> float | None:
    """Run a script once; an error ends it. A resumed job of a sweep is marked as done."""
    with _one_sentence():
        score = function(check(cfg, name))
        if cfg.get("resume"):
            sweep.note_resumed(run_folder(), score)
        return score


def _sweep_job(function: Main, name: str, cfg: DictConfig) -> float | None:
    """Run one job of a sweep, unless it is done already."""
    whole = working_folder() / HydraConfig.get().sweep.dir
    with _one_sentence():
        sweep.require_inside(run_folder(), whole)
    with _one_sentence(), in_use(run_folder(), "hydra.sweep.subdir"):
        finished = sweep.find_finished(run_folder(), whole, overrides())
        if finished:
            log.info("job %s is done already", HydraConfig.get().job.num)
            return finished["score"]  # type: ignore[no-any-return]
        return _recorded_job(function, name, cfg)


def _recorded_job(function: Main, name: str, cfg: DictConfig) -> float | None:
    """Run one job of a sweep; record its error if it fails, so that the others run."""
    settings = overrides()
    sweep.note(run_folder(), sweep.STARTED, settings)
    start = time.monotonic()
    score: float | None = float("nan")
    with _as_single_run(name):
        try:
            score = function(check(cfg, name))
            status, result = sweep.DONE, dict[str, object](score=score)
        except Exception as error:
            unexpected = not isinstance(error, RooftopError)
            log.error("job %s failed: %s", HydraConfig.get().job.num, error, exc_info=unexpected)
            status, result = sweep.FAILED, dict[str, object](error=f"{type(error).__name__}: {error}")
        sweep.note(run_folder(), status, settings, **result, seconds=round(time.monotonic() - start, 1))
    return score


@contextmanager
def _as_single_run(name: str) -> Iterator[None]:
    """Let a job of a sweep start its own processes like a single run of the script.

    Lightning starts the other ranks with the command line of this process. In a sweep this would start the whole sweep
    again in a new folder, or a worker of the launcher. Lightning also leaves its environment variables behind; the next
    job would take itself for a rank.
    """
    config = HydraConfig.instance().cfg
    assert config is not None
    command, environment, module = sys.argv, dict(os.environ), sys.modules["__main__"]
    specification, module.__spec__ = module.__spec__, None
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.run.dir = config.hydra.runtime.output_dir
    sys.argv = [str(program(name)), *_search_options(config.hydra, name), *config.hydra.overrides.task]
    try:
        yield
    finally:
        sys.argv, module.__spec__ = command, specification
        os.environ.clear()
        os.environ.update(environment)


def _search_options(settings: DictConfig, name: str) -> list[str]:
    """Return the options and the setting with which a job finds the configurations of its sweep."""
    own = [f"--config-name={settings.job.config_name}"] if settings.job.config_name != name else []
    folders = {source.provider: source.path for source in settings.runtime.config_sources}
    own += [f"--config-dir={folders['command-line']}"] if "command-line" in folders else []
    own += [f"--config-path={folders['main']}"] if folders["main"] != str(CONF) else []
    return own + ([f"hydra.searchpath={list(settings.searchpath)}"] if settings.searchpath else [])


# --- errors ---


_WRONG_PATH = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)


@contextmanager
def _one_sentence() -> Iterator[None]:
    """End an error of the user in one sentence and exit code 2; HYDRA_FULL_ERROR=1 keeps the traceback."""
    try:
        yield
        sys.stdout.flush()
    except RooftopError as error:
        _exit(error, str(error), error.exit_code)
    except KeyboardInterrupt:
        if is_first_rank():
            print("\ninterrupted; run the same command again to continue or restart.", file=sys.stderr)
        sys.exit(130)  # 128 + SIGINT
    except BrokenPipeError:  # the reader has closed the pipe, as `| head` does; keep the flush at exit silent too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # 128 + SIGPIPE
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _exit(error, f"no space left on the disk while writing {error.filename or 'a file'}; free some.")
        if error.errno not in _WRONG_PATH or error.filename is None:
            raise
        _exit(error, f"{brief(error.filename, 200)}: {error.strerror}; correct the path, or its access rights.")


def _exit(error: Exception, sentence: str, code: int = 2) -> None:
    if os.environ.get(FULL_ERROR) == "1":
        raise error
    if is_first_rank():
        print(f"error: {sentence}", file=sys.stderr)
    sys.exit(code)
