"""What every entry script shares: check before any folder is made, one sentence for an error, jobs of a sweep.

Exit codes: 0 done, 1 a check found faults or a job of a sweep failed, 2 wrong input or configuration.
"""

import errno
import functools
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from rooftop.config import sweep
from rooftop.config.check import check
from rooftop.config.command_line import compose_for_check
from rooftop.config.paths import CONF
from rooftop.errors import RooftopError

log = logging.getLogger(__name__)
Main = Callable[[DictConfig], float | None]
FULL_ERROR = "HYDRA_FULL_ERROR"


def progress_bar() -> Progress:
    """A bar without tasks yet."""
    return Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )


def run_folder() -> Path:
    """The output folder of the running job, absolute."""
    return Path(HydraConfig.get().runtime.output_dir)


def overrides() -> list[str]:
    """What was typed after the script's name, as Hydra reads it."""
    return list(HydraConfig.get().overrides.task)


def in_sweep() -> bool:
    """Whether the running job is one of several."""
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def script(function: Main) -> Callable[[], None]:
    """Make `main(cfg)` an entry script: `conf/<file name>.yaml` is its root configuration.

    The command line is composed and checked before Hydra makes the output folder, so that a typo leaves nothing behind.
    """
    name = Path(function.__code__.co_filename).stem

    @functools.wraps(function)
    def entry() -> None:
        with _one_sentence():
            arguments = compose_for_check(name, sys.argv[1:])
            sys.argv[1:] = arguments
            job = functools.wraps(function)(functools.partial(_job, function, name))
            hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)()

    return entry


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Turn what a person can mend into one sentence and exit code 2; HYDRA_FULL_ERROR=1 keeps the traceback."""
    try:
        yield
        sys.stdout.flush()
    except RooftopError as error:
        _leave(error, str(error), error.exit_code)
    except KeyboardInterrupt:
        if _is_first():
            print("\nstopped; the same command goes on or starts again.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # who read along has seen enough, as `| head` has; nor may the flush at the end complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # 128 + SIGPIPE, as shells say it
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _leave(error, f"no space left on the disk while writing {error.filename or 'a file'}; free some.")


def _leave(error: Exception, sentence: str, code: int = 2) -> None:
    if os.environ.get(FULL_ERROR) == "1":
        raise error
    if _is_first():
        print(f"error: {sentence}", file=sys.stderr)
    sys.exit(code)


def _is_first() -> bool:
    """Whether this process is the one that speaks: the other processes of a run would say the same."""
    named = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return next((rank for rank in named if rank), "0") == "0"


def _job(function: Main, name: str, cfg: DictConfig) -> float | None:
    """One job. In a sweep a failed one is recorded, and the others run; alone it ends the script."""
    if not in_sweep():
        with _one_sentence():
            reached = function(check(cfg, name))
            if cfg.get("resume"):
                sweep.note_resumed(run_folder(), reached)
            return reached
    settings, number = overrides(), HydraConfig.get().job.num
    with _one_sentence():
        before = sweep.done_before(run_folder(), Path(HydraConfig.get().sweep.dir).absolute(), settings)
    if before:
        log.info("job %s is done already", number)
        return before["score"]  # type: ignore[no-any-return]
    sweep.note(run_folder(), sweep.STARTED, settings)
    start = time.monotonic()
    score: float | None = float("nan")
    with _as_single_run(Path(function.__code__.co_filename)):
        try:
            score = function(check(cfg, name))
            status, result = sweep.DONE, dict[str, object](score=score)
        except Exception as error:
            log.error("job %s failed: %s", number, error, exc_info=not isinstance(error, RooftopError))
            status, result = sweep.FAILED, dict[str, object](error=f"{type(error).__name__}: {error}")
        sweep.note(run_folder(), status, settings, **result, seconds=round(time.monotonic() - start, 1))
    return score


@contextmanager
def _as_single_run(path: Path) -> Iterator[None]:
    """Let a job of a sweep launch its own processes as a single run of the script at `path` would.

    Lightning starts the other ranks with this process's own command line, which in a sweep would be the whole sweep
    again, in a new folder, or a worker of the launcher; and it leaves its variables behind, so that the next job would
    take itself for a rank.
    """
    config = HydraConfig.instance().cfg
    assert config is not None
    command, environment, module = sys.argv, dict(os.environ), sys.modules["__main__"]
    specification, module.__spec__ = module.__spec__, None
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.run.dir = config.hydra.runtime.output_dir
    sys.argv = [str(path), *config.hydra.overrides.task]
    try:
        yield
    finally:
        sys.argv, module.__spec__ = command, specification
        os.environ.clear()
        os.environ.update(environment)
