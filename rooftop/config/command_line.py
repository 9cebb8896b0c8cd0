"""Compose a command line before Hydra does, so that mistakes end in one sentence and leave no folder behind."""

import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from rooftop.config.build import unknown_key
from rooftop.config.check import check, keys_of
from rooftop.config.paths import CONF
from rooftop.errors import ConfigError, RunError

LOGGING = (  # that of conf/output.yaml, which a run's own configuration does not hold
    "hydra.job_logging.formatters.simple.format='%(asctime)s %(message)s'",
    "+hydra.job_logging.formatters.simple.datefmt='%H:%M:%S'",
    "+hydra.job_logging.loggers.pytorch_lightning.level=WARNING",
)
RESTORED = (  # keys whose values a checkpoint brings along, or which have to fit its weights
    "model",
    "optimizer",
    "monitor",
    "scheduler.factor",
    "scheduler.patience",
    "callbacks.early_stop.patience",
    "callbacks.start",
    "data.targets",
    "data.categories",
    "data.bands",
    "data.scale",
    "data.mean",
    "data.std",
)
MOST = 12  # values of an axis that are composed and checked before the sweep starts, a third of a second each
DIRECTION = "hydra.sweeper.direction"
_PLAIN = re.compile(r"[A-Za-z_./][\w./-]*")  # needs no quotes in Hydra's grammar


def compose_for_check(name: str, arguments: list[str]) -> list[str]:
    """Check a command line and return it, with `resume=RUN` replaced by that run's own configuration.

    Of a sweep each value is checked once (the first `axes.MOST` of an axis), the other axes at their first.

    Args:
        name: the script, whose root configuration is `conf/<name>.yaml`.
        arguments: what the person typed after the script's name.

    Raises:
        ConfigError: whatever is wrong with keys, groups or values.
        RunError: `resume` names no run.
    """
    arguments = [with_files(argument, CONF) for argument in _resumed(arguments)]
    parsed = get_args_parser().parse_args(arguments)
    shows_only = parsed.help or parsed.hydra_help or parsed.cfg or parsed.info or parsed.shell_completion
    if shows_only or parsed.config_dir or parsed.experimental_rerun:
        return arguments
    folder = str(Path(parsed.config_path).absolute()) if parsed.config_path else str(CONF)
    root = (parsed.config_name or name).removesuffix(".yaml")
    GlobalHydra.instance().clear()
    with initialize_config_dir(folder, version_base="1.3"):
        axes = [values_of(override, sweep=parsed.multirun) for override in parsed.overrides]
        jobs = [_compose(root, overrides) for overrides in first_jobs([values for values in axes if values])]
        for cfg in jobs:
            with _pretended_job(cfg) as job:
                check(job, name)
                require_writable(cfg.hydra, sweep=parsed.multirun)
    return with_direction(arguments, parsed.overrides, jobs[0])


@contextmanager
def _pretended_job(cfg: DictConfig) -> Iterator[DictConfig]:
    """Yield `cfg` without its hydra node, as a job gets it, and let `${hydra:...}` resolve before there is a job."""
    whole, job = cfg.copy(), cfg.copy()
    with open_dict(job), read_write(whole), open_dict(whole):
        del job["hydra"]
        whole.hydra.runtime.output_dir = "outputs"
        HydraConfig.instance().set_config(whole)
    try:
        yield job
    finally:
        HydraConfig.instance().cfg = None


def _resumed(arguments: list[str]) -> list[str]:
    """`resume=RUN` takes the configuration from RUN and goes on in its folder; further overrides stay."""
    asked = [argument for argument in arguments if argument.startswith("resume=") and argument != "resume=null"]
    if not asked:
        return arguments
    folder = Path(asked[-1].removeprefix("resume=").strip("'\"")).absolute()
    for needed in (folder / ".hydra" / "config.yaml", folder / "checkpoints" / "last.ckpt"):
        if not needed.is_file():
            raise RunError(
                f"resume={folder}: {needed.relative_to(folder)} is missing; name a run that finished an epoch."
            )
    rest = [argument for argument in arguments if argument not in asked]
    recorded = OmegaConf.load(folder / ".hydra" / "config.yaml")
    for i, argument in enumerate(rest):
        key, _, value = argument.lstrip("+~").partition("=")
        if (CONF / key).is_dir():
            raise ConfigError(
                f"{argument}: a run goes on with its own {key}; change single keys of it, e.g. callbacks.progress=null "
                "trainer.accelerator=gpu, or begin a new run."
            )
        if argument.startswith("+"):
            rest[i] = f"++{key}={value}"  # what an earlier start of the same command has added is there already
        if argument.startswith("~"):
            rest[i] = argument if OmegaConf.select(recorded, key) is not None else ""
        elif value != "null" and any(f"{key}.".startswith(f"{restored}.") for restored in RESTORED):
            raise ConfigError(
                f"{argument} would change nothing, or not fit: a run goes on with what its checkpoint holds; leave it "
                "out, or begin a new run with it."
            )
    quoted = "'" + str(folder).replace("'", "\\'") + "'"
    return [
        *("--config-path", str(folder / ".hydra"), "--config-name", "config"),
        *(f"++resume={quoted}", f"hydra.run.dir={quoted}", "hydra.output_subdir=null", "hydra.job.name=train"),
        *LOGGING,
        *filter(None, rest),
    ]


def _compose(root: str, overrides: list[str]) -> DictConfig:
    try:
        cfg: DictConfig = compose(root, overrides, return_hydra_config=True)
        return cfg
    except MissingConfigException as error:
        raise ConfigError(_missing_group(error)) from error
    except (ConfigCompositionException, OmegaConfBaseException) as error:
        raise ConfigError(_wrong_override(error, root, overrides)) from error
    except HydraException as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    except ValueError as error:  # Hydra's word for a group that is null
        raise ConfigError(_null_group(error, overrides)) from error


def _null_group(error: ValueError, overrides: list[str]) -> str:
    """Name the group that was set to null, and what there is to choose from."""
    for override in overrides:
        group, _, value = override.partition("=")
        if value in ("null", "None", "~") and (CONF / group).is_dir():
            choices = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
            return f"{override}: choose one of {', '.join(choices)}."
    return str(error).splitlines()[0]


def _missing_group(error: MissingConfigException) -> str:
    asked = error.missing_cfg_file or ""
    group, _, option = asked.rpartition("/")
    if error.options and group:
        known = [f"{group}={name}" for name in error.options]
        return unknown_key(f"{group}={option}", known).replace("unknown configuration key", "no such choice")
    return str(error).splitlines()[0]


def _wrong_override(error: Exception, root: str, overrides: list[str]) -> str:
    """Name the key Hydra stumbled over and the nearest one that exists without it."""
    text = f"{error} {error.__cause__ or ''}"
    found = re.search(r"Key '[^']+' is not in struct\s+full_key: (\S+)", text) or re.search(
        r"Could not override '([^']+)'", text
    )
    if found is None:
        return str(error).splitlines()[0]
    key = found.group(1)
    others = [override for override in overrides if override.lstrip("+~").split("=", 1)[0] != key]
    if len(others) == len(overrides):
        return str(error).splitlines()[0]
    cfg = _compose(root, others)
    known, (parent, _, name) = keys_of(cfg), key.rpartition(".")
    if parent in known and OmegaConf.select(cfg, parent) is None:
        return f"{parent} is null, so that it has no {name} to set; give it whole: '{parent}={{{name}: VALUE, ...}}'"
    if inside := [name for name in known if name.rpartition(".")[0] == key]:
        some = "'++" + key + "={NAME: VALUE, ...}'"
        return f"{key} holds several settings; set one of them: {', '.join(inside)}; or several at once: {some}"
    if "is not in struct" not in text and "No match" not in text:
        return f"{key}: {str(error.__cause__ or error).splitlines()[0]}"
    more = "; what else Lightning's Trainer takes is added with a plus: +trainer.NAME=VALUE"
    return unknown_key(key, known) + (more if parent == "trainer" else "")


def with_files(argument: str, groups: Path) -> str:
    """`KEY=glob(PATTERN)` becomes `KEY=FILE,FILE,...`, sorted; any other argument stays as it is.

    Also `glob([PATTERN, ...], exclude=PATTERN)`; `**` goes into folders. Keys that are folders in `groups` are left to
    Hydra.

    Raises:
        ConfigError: no file has such a name.
    """
    try:
        override = OverridesParser.create().parse_override(argument) if "=glob(" in argument else None
    except HydraException:
        return argument  # said when the configuration is composed
    if override is None or not isinstance(override._value, Glob) or (groups / override.key_or_group).is_dir():
        return argument
    chosen = override._value
    found = {name for pattern in chosen.include for name in glob.glob(pattern, recursive=True)}  # noqa: PTH207
    names = sorted(name for name in found if not any(fnmatch(name, pattern) for pattern in chosen.exclude))
    if not names:
        raise ConfigError(f"{argument}: no such file; give a pattern that files have.")
    return f"{override.get_key_element()}={','.join(map(_quoted, names))}"


def _quoted(name: str) -> str:
    """A file name as Hydra reads it back."""
    if _PLAIN.fullmatch(name):
        return name
    escaped = re.sub(r"(\\+)(?=$|')", r"\1\1", name).replace("'", r"\'")
    return f"'{escaped}'"


def values_of(override: str, *, sweep: bool) -> list[str]:
    """What the jobs of a sweep make of an override: one for each value, itself if it has one value only.

    Intervals, among which an optimising sweeper chooses, have no values yet.

    Raises:
        ConfigError: the override cannot be read, has several values without `sweep`, or none.
    """
    try:
        parsed = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_override(override)
    except HydraException as error:
        raise ConfigError(f"{override}: {_unread(override, str(error).splitlines()[0])}") from error
    if not parsed.is_sweep_override() or parsed.is_delete():
        return [override]
    if not sweep:
        raise ConfigError(
            f"{override}: several values are a sweep: add -m; a list is written in [ ], a text in quotes."
        )
    if not parsed.is_discrete_sweep():
        return []
    key = override.split("=", 1)[0]
    values = [f"{key}={value}" for value in parsed.sweep_string_iterator()]
    if not values:
        raise ConfigError(f"{override}: nothing has such a name.")
    return values


def _unread(override: str, reason: str) -> str:
    """Why Hydra cannot read an override, and what to type instead."""
    key, equals, value = override.partition("=")
    if not equals:
        return "a setting is written name=value, without blanks around the =, e.g. source=city.tif."
    if value.startswith("["):
        return f"{reason}; put quotes around each text in the list, and others around all of it: '{key}=[\"...\", ...]'"
    quoted = value.replace("'", "\\'")
    return f"{reason}; put quotes around the value, and others around all of it for the shell: \"{key}='{quoted}'\""


def first_jobs(axes: list[list[str]]) -> list[list[str]]:
    """Overrides of the jobs that show each value once: all axes at their first, then one axis at each of its others."""
    first = [values[0] for values in axes]
    others = ((place, value) for place, values in enumerate(axes) for value in values[1:MOST])
    return [first, *([*first[:place], value, *first[place + 1 :]] for place, value in others)]


def with_direction(arguments: list[str], overrides: list[str], cfg: DictConfig) -> list[str]:
    """Have Optuna look for the best monitored score; its own default is the lowest, which of IoU is the worst.

    Args:
        arguments: of the command line.
        overrides: those among them that are no options.
        cfg: the composed configuration with its hydra node.
    """
    asked = any(override.lstrip("+").startswith(DIRECTION) for override in overrides)
    optuna = cfg.hydra.runtime.choices.get("hydra/sweeper") == "optuna"
    if not overrides or not optuna or asked or "monitor" not in cfg:
        return arguments
    place = arguments.index(overrides[0])  # options may stand around the overrides, but not among them
    direction = {"max": "maximize", "min": "minimize"}[cfg.monitor.mode]
    return [*arguments[:place], f"{DIRECTION}={direction}", *arguments[place:]]


def require_writable(hydra: DictConfig, *, sweep: bool) -> None:
    """Make sure that the output folder of a job can be made, or written to.

    Args:
        hydra: that node of a composed configuration.
        sweep: whether it is one of several jobs.

    Raises:
        ConfigError: it cannot, for want of rights or since a file stands in the way.
    """
    key = "sweep" if sweep else "run"
    try:
        folder = Path(str(OmegaConf.select(hydra, f"{key}.dir"))).absolute()
    except OmegaConfBaseException:  # names something that is only known once the job runs
        return
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"hydra.{key}.dir={folder}: {there} is a file; name another folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"hydra.{key}.dir={folder}: {there} cannot be written to; name another folder.")
