"""Check a command line before Hydra runs it: mistakes end in one sentence and leave no folder behind.

`python train.py -m model.depth=3,4 loss=bce,dice` takes these steps in `compose_for_check`:

1. `with_home` replaces `~/` by the home folder, `expand_resume` `resume=RUN` by the stored configuration of RUN,
   `expand_glob` `glob(*.tif)` by a list of files, `expand_class` `loss={_target_: CLASS}` by `loss=own` and the rest;
   `read_options` puts the options (`-m`) before the settings.
2. `values_of` reads one axis of the sweep: `model.depth=3,4` gives `["model.depth=3", "model.depth=4"]`.
3. `first_jobs` picks few jobs with every value once: (3, bce), (4, bce), (3, dice); all combinations may be thousands.
4. `composed` builds the configuration of each of them; `check` compares it with the schema.
5. `direction` adds the direction of the search if Optuna runs the sweep.

The arguments go to Hydra, once the output folder is claimed.
"""

import difflib
import glob
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from hydra import compose
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from hydra.version import setbase
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from rooftop.config.build import unknown_key
from rooftop.config.check import check, keys_of
from rooftop.config.output_folder import OutputFolder, output_folder
from rooftop.config.paths import CONF, with_home
from rooftop.config.run_config import RESUMED, register_stored
from rooftop.errors import ConfigError, RunError

RESTORED = (  # keys fixed by a checkpoint: it contains their values, or its weights fit no others
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
MOST = 12  # values of an axis to check before the sweep starts; each takes a third of a second
OWN = "own"  # the file of a group for a class of one's own
DIRECTION = "hydra.sweeper.direction"
PLUGINS = {  # of the extra `sweep`: choice -> package
    "hydra/launcher=joblib": "hydra-joblib-launcher",
    "hydra/launcher=submitit_local": "hydra-submitit-launcher",
    "hydra/launcher=submitit_slurm": "hydra-submitit-launcher",
    "hydra/sweeper=optuna": "hydra-optuna-sweeper",
}
_PLAIN = re.compile(r"[A-Za-z_./][\w./-]*")  # Hydra reads these without quotes


class Command(NamedTuple):
    """A checked command line.

    Attributes:
        arguments: options first, then overrides, with `resume=` and `glob()` expanded.
        folder: output folder; None if nothing runs, as for `--help`.
    """

    arguments: list[str]
    folder: OutputFolder | None


def compose_for_check(name: str, arguments: list[str]) -> Command:
    """Check a command line, and read its output folder.

    In a sweep each value is checked once (the first `MOST` of an axis), with the first value of the other axes.

    Args:
        name: script; its root configuration is `conf/<name>.yaml`.
        arguments: command line after the name of the script.

    Raises:
        ConfigError: a wrong option, key, group or value, or a plugin that is not installed.
        RunError: `resume` names no run.
    """
    for argument in arguments:
        require_plugin(argument.lstrip("+"))
    arguments = [expand_glob(argument, CONF) for argument in expand_resume([*map(with_home, arguments)])]
    arguments = [word for argument in arguments for word in expand_class(argument)]
    parsed, arguments = read_options(arguments)
    if parsed.hydra_help or parsed.shell_completion or parsed.experimental_rerun:
        return Command(arguments, None)
    root = (parsed.config_name or name).removesuffix(".yaml")
    with _searched(parsed):
        if parsed.help or parsed.cfg or parsed.info:
            composed(root, parsed.overrides)
            return Command(arguments, None)
        axes = [values_of(override, sweep=parsed.multirun) for override in parsed.overrides]
        jobs = [composed(root, overrides) for overrides in first_jobs([values for values in axes if values])]
        for cfg in jobs:
            with _pretended_job(cfg) as job:
                check(job, name)
                output = output_folder(cfg.hydra, sweep=parsed.multirun)
                output.require_writable()
    if [] in axes and jobs[0].hydra.runtime.choices.get("hydra/sweeper") == "basic":
        interval = parsed.overrides[axes.index([])]
        raise ConfigError(f"{interval}: only a search draws values from an interval; add hydra/sweeper=optuna.")
    return Command([*arguments, *direction(parsed.overrides, jobs[0])], output)


@contextmanager
def _pretended_job(cfg: DictConfig) -> Iterator[DictConfig]:
    """Yield `cfg` without its hydra node, as in a job, and let `${hydra:...}` resolve before there is a job."""
    full, job = cfg.copy(), cfg.copy()
    with open_dict(job), read_write(full), open_dict(full):
        del job["hydra"]
        full.hydra.runtime.output_dir = "outputs"
        HydraConfig.instance().set_config(full)
    try:
        yield job
    finally:
        HydraConfig.instance().cfg = None


def require_plugin(choice: str) -> None:
    """Check whether a launcher or sweeper of the extra `sweep` is installed.

    Args:
        choice: an override; those of other keys pass.

    Raises:
        ConfigError: it is not installed.
    """
    if choice not in PLUGINS:
        return
    try:
        metadata.distribution(PLUGINS[choice])
    except metadata.PackageNotFoundError as error:
        raise ConfigError(
            f"{choice} needs the package {error.name}, which is not installed; pip install -e '.[sweep]'."
        ) from error


# --- options ---


def read_options(arguments: list[str]) -> tuple[Namespace, list[str]]:
    """Read options that stand before, among or behind the overrides.

    Returns:
        The options, and the arguments as Hydra reads them: options first, their folders as absolute paths.

    Raises:
        ConfigError: no such option, or its folder is missing.
    """
    parser = get_args_parser()
    parser.error = _wrong_option
    parsed = parser.parse_intermixed_args(arguments)
    for option, folder in (("--config-dir", parsed.config_dir), ("--config-path", parsed.config_path)):
        if folder and "://" not in folder:
            _require_folder(f"{option}={folder}", folder)
            setattr(parsed, option[2:].replace("-", "_"), str(Path(folder).absolute()))
    for override in parsed.overrides:
        for path in _search_path(override):
            if "://" not in path.removeprefix("file://"):
                _require_folder(f"hydra.searchpath: {path}", path.removeprefix("file://"))
    return parsed, [*_written(parser, parsed), *parsed.overrides]


def _written(parser: ArgumentParser, parsed: Namespace) -> Iterator[str]:
    for action in parser._actions:
        value = getattr(parsed, action.dest, None)
        if action.option_strings and value not in (None, False):
            yield action.option_strings[0] if value is True else f"{action.option_strings[0]}={value}"


def _wrong_option(reason: str) -> NoReturn:
    """Raise the reason of argparse as one sentence, with the nearest option."""
    unknown = reason.removeprefix("unrecognized arguments: ").partition(" ")[0].partition("=")[0]
    known = [name for name in get_args_parser()._option_string_actions if name.startswith("--")]
    near = difflib.get_close_matches(unknown, known, n=1)
    if reason.startswith("unrecognized") and near:
        raise ConfigError(f"{unknown} is no option: did you mean {near[0]}?")
    raise ConfigError(f"{reason}; options are {', '.join(known)}.")


def _search_path(override: str) -> list[str]:
    """Return the folders of `hydra.searchpath=[...]`; none for any other override."""
    if not override.lstrip("+").startswith("hydra.searchpath="):
        return []
    try:
        value = OverridesParser.create().parse_override(override).value()
    except HydraException:
        return []  # reported when the configuration is composed
    return [str(path) for path in value] if isinstance(value, list) else []


def _require_folder(setting: str, folder: str) -> None:
    if not Path(folder).is_dir():
        raise ConfigError(f"{setting}: no such folder in {Path.cwd()}; correct the path.")


@contextmanager
def _searched(parsed: Namespace) -> Iterator[None]:
    """Let `compose` find configurations where Hydra will: `conf/` or `--config-path`, then `--config-dir`."""
    path = create_config_search_path(parsed.config_path or str(CONF))
    if parsed.config_dir:
        where = {"provider": "command-line", "path": f"file://{parsed.config_dir}"}
        path.prepend(**where, anchor=SearchPathQuery(provider="schema"))
    GlobalHydra.instance().clear()
    setbase("1.3")
    Hydra.create_main_hydra2(task_name="check", config_search_path=path)
    try:
        yield
    finally:
        GlobalHydra.instance().clear()


# --- resume ---


def expand_resume(arguments: list[str]) -> list[str]:
    """Replace `resume=RUN` by the stored configuration and the folder of RUN; other overrides stay.

    Raises:
        RunError: RUN has no checkpoint, or no configuration that can be used.
        ConfigError: an override cannot change on resume.
    """
    wanted = [argument for argument in arguments if argument.startswith("resume=") and argument != "resume=null"]
    if not wanted:
        return arguments
    named = wanted[-1].removeprefix("resume=").strip("'\"")
    started = (
        f"--config-name={RESUMED}" in arguments
    )  # by Lightning, with the expanded command line of the first process
    folder = Path(named.replace("\\'", "'") if started else named).absolute()
    for needed in (folder / ".hydra" / "config.yaml", folder / "checkpoints" / "last.ckpt"):
        if not needed.is_file():
            raise RunError(
                f"resume={folder}: {needed.relative_to(folder)} is missing; name a run with one finished epoch or more."
            )
    stored = register_stored(folder)
    if started:
        return arguments
    rest = (_resumed_override(argument, stored) for argument in arguments if argument not in wanted)
    quoted = "'" + str(folder).replace("'", "\\'") + "'"
    options = (f"--config-name={RESUMED}", f"resume={quoted}", f"hydra.run.dir={quoted}", "hydra.output_subdir=null")
    return [*options, *filter(None, rest)]


def _resumed_override(argument: str, stored: Any) -> str:
    """Check one override of a resumed run and adapt it to the stored configuration; "" drops it."""
    key, _, value = argument.lstrip("+~").partition("=")
    if (CONF / key).is_dir():
        raise ConfigError(
            f"{argument}: a resumed run keeps its own {key}; change single keys of it, e.g. callbacks.progress=null "
            "trainer.accelerator=gpu, or start a new run."
        )
    if argument.startswith("~"):
        return argument if OmegaConf.select(stored, key) is not None else ""
    if value != "null" and any(f"{key}.".startswith(f"{restored}.") for restored in RESTORED):
        raise ConfigError(
            f"{argument} cannot change on resume: the checkpoint already fixes it; leave it out, or start a new run "
            "with it."
        )
    # an earlier start of the same command may have added the key already: add or change
    return f"++{key}={value}" if argument.startswith("+") else argument


# --- files ---


def expand_glob(argument: str, groups: Path) -> str:
    """Replace `KEY=glob(PATTERN)` by `KEY=FILE,FILE,...`, sorted: a sweep with one job per file.

    `glob([PATTERN, ...], exclude=PATTERN)` works too; `**` descends into folders. Hydra's own `glob` finds only files
    of configuration groups; keys with a folder in `groups` are left to it.

    Raises:
        ConfigError: no file matches.
    """
    try:
        override = OverridesParser.create().parse_override(argument) if "=glob(" in argument else None
    except HydraException:
        return argument  # reported when the configuration is composed
    if override is None or not isinstance(override._value, Glob) or (groups / override.key_or_group).is_dir():
        return argument
    chosen = override._value
    found = {name for pattern in chosen.include for name in glob.glob(pattern, recursive=True)}  # noqa: PTH207
    names = sorted(name for name in found if not any(fnmatch(name, pattern) for pattern in chosen.exclude))
    if not names:
        raise ConfigError(f"{argument}: no file matches; check the pattern.")
    return f"{override.get_key_element()}={','.join(map(_quoted, names))}"


def _quoted(name: str) -> str:
    """Quote a file name for Hydra, if it needs quotes."""
    if _PLAIN.fullmatch(name):
        return name
    escaped = re.sub(r"(\\+)(?=$|')", r"\1\1", name).replace("'", r"\'")
    return f"'{escaped}'"


# --- classes of one's own ---


def expand_class(argument: str) -> list[str]:
    """Replace `GROUP={_target_: CLASS, NAME: VALUE}` by `GROUP=own` and `++GROUP={...}`: the class replaces the group.

    Hydra would add its settings to those of the file that is chosen by default. Other arguments stay.
    """
    group, _, value = argument.lstrip("+").partition("=")
    if not (CONF / group / f"{OWN}.yaml").is_file() or not re.match(r"\{.*_target_.*\}$", value, re.DOTALL):
        return [argument]
    try:
        parsed = OverridesParser.create().parse_override(f"{group}={value}")
    except HydraException:
        return [argument]  # reported when the configuration is composed
    return [argument] if parsed.is_sweep_override() else [f"{group}={OWN}", f"++{group}={value}"]


# --- axes of a sweep ---


def values_of(override: str, *, sweep: bool) -> list[str]:
    """List the values of an axis as overrides: `seed=0,1` gives `["seed=0", "seed=1"]`; a single value gives itself.

    Intervals of an optimising sweeper have no values yet and give an empty list.

    Raises:
        ConfigError: the override cannot be read, has several values without `sweep`, or has none.
    """
    try:
        parsed = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_override(override)
    except HydraException as error:
        raise ConfigError(f"{override}: {_syntax_fault(override, str(error).splitlines()[0])}") from error
    if not parsed.is_sweep_override() or parsed.is_delete():
        return [override]
    if not sweep:
        raise ConfigError(
            f"{override}: several values need a sweep: add -m; write a list in [ ], a text with commas in quotes."
        )
    if not parsed.is_discrete_sweep():
        return []
    key = override.split("=", 1)[0]
    values = [f"{key}={value}" for value in parsed.sweep_string_iterator()]
    if not values:
        raise ConfigError(f"{override}: no name matches; check the pattern.")
    return values


def _syntax_fault(override: str, reason: str) -> str:
    """Explain an override that Hydra cannot read, with the right form of it."""
    key, equals, value = override.partition("=")
    if not equals:
        return "a setting is written name=value, without blanks around the =, e.g. source=city.tif."
    if value.startswith("["):
        return f"{reason}; put quotes around each text in the list, and others around all of it: '{key}=[\"...\", ...]'"
    quoted = value.replace("'", "\\'")
    return f"{reason}; put quotes around the value, and others around all of it for the shell: \"{key}='{quoted}'\""


def first_jobs(axes: list[list[str]]) -> list[list[str]]:
    """Choose jobs with every value once: all axes at their first value, then one axis at each of its other values."""
    first = [values[0] for values in axes]
    others = ((i, value) for i, values in enumerate(axes) for value in values[1:MOST])
    return [first, *([*first[:i], value, *first[i + 1 :]] for i, value in others)]


def direction(overrides: list[str], cfg: DictConfig) -> list[str]:
    """Return the override that makes Optuna search for the best monitored score; its default is the lowest.

    Args:
        overrides: of the command line.
        cfg: composed configuration with its hydra node.
    """
    given = any(override.lstrip("+").startswith(DIRECTION) for override in overrides)
    optuna = cfg.hydra.runtime.choices.get("hydra/sweeper") == "optuna"
    if not optuna or given or "monitor" not in cfg:
        return []
    best = {"max": "maximize", "min": "minimize"}[cfg.monitor.mode]
    return [f"{DIRECTION}={best}"]


# --- Hydra's errors in one sentence ---


def composed(root: str, overrides: list[str]) -> DictConfig:
    """Compose a configuration, with its hydra node.

    Raises:
        ConfigError: a key, group or value is wrong.
    """
    try:
        cfg: DictConfig = compose(root, overrides, return_hydra_config=True)
        return cfg
    except MissingConfigException as error:
        raise ConfigError(_missing_group(error)) from error
    except (ConfigCompositionException, OmegaConfBaseException) as error:
        raise ConfigError(_wrong_override(error, root, overrides)) from error
    except HydraException as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    except ValueError as error:  # raised by Hydra for a group set to null
        raise ConfigError(_null_group(error, overrides)) from error


def _null_group(error: ValueError, overrides: list[str]) -> str:
    """Name the group set to null, or to a number, and its choices."""
    for override in overrides:
        group, _, value = override.lstrip("+").partition("=")
        wrong = value in ("null", "None", "~") or "must be a string" in str(error)
        if wrong and (CONF / group).is_dir() and value not in _choices(group):
            return f"{override}: {_group_help(group)}"
    return str(error).splitlines()[0]


def _wrong_inside(error: Exception, key: str, root: str, overrides: list[str]) -> str:
    """Name a key that an override of several settings, such as `data={nam: x}`, would add."""
    inside = [override for override in overrides if key.startswith(override.lstrip("+~").split("=", 1)[0] + ".")]
    if not inside:
        return str(error).splitlines()[0]
    group = inside[-1].split("=", 1)[0]
    unknown = unknown_key(key, keys_of(composed(root, [each for each in overrides if each not in inside])))
    return f"{unknown} Or {_group_help(group)}" if (CONF / group).is_dir() else unknown


def _group_help(group: str) -> str:
    """Tell how the file of a group is chosen, and how a class of one's own takes its place."""
    own = f", or name a class: '{group}={{_target_: CLASS, NAME: VALUE}}'" if OWN in _choices(group) else ""
    return f"choose one of {', '.join(_choices(group))}{own}."


def _choices(group: str) -> list[str]:
    """List the files of a group."""
    return sorted(GlobalHydra.instance().config_loader().get_group_options(group))


def _missing_group(error: MissingConfigException) -> str:
    """Name the unknown choice of a group, and the nearest known one."""
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    require_plugin(f"{group}={option}")
    if error.options and group:
        known = [*(f"{group}={name}" for name in error.options), *(each for each in PLUGINS if each.startswith(group))]
        return unknown_key(f"{group}={option}", known).replace("unknown configuration key", "no such choice")
    if (CONF / group).is_dir() and group:
        return f"{group}={option}: there is no such file; {_group_help(group)}"
    return str(error).splitlines()[0]


def _wrong_override(error: Exception, root: str, overrides: list[str]) -> str:
    """Name the key rejected by Hydra, and the nearest one of the configuration without it."""
    text = f"{error} {error.__cause__ or ''}"
    found = re.search(r"Key '[^']+' is not in struct\s+full_key: (\S+)", text) or re.search(
        r"Could not override '([^']+)'", text
    )
    if found is None:
        return str(error).splitlines()[0]
    key = found.group(1)
    others = [override for override in overrides if override.lstrip("+~").split("=", 1)[0] != key]
    if len(others) == len(overrides):
        return _wrong_inside(error, key, root, overrides)
    cfg = composed(root, others)
    known, (parent, _, name) = keys_of(cfg), key.rpartition(".")
    if parent in known and OmegaConf.select(cfg, parent) is None:
        return f"{parent} is null and has no key {name}; set it as a whole: '{parent}={{{name}: VALUE, ...}}'"
    kind = parent.removeprefix("hydra.")
    if "not in 'Basic" in text and kind in ("launcher", "sweeper"):
        choices = " or ".join(choice for choice in PLUGINS if choice.startswith(f"hydra/{kind}="))
        return f"{key}: the basic {kind} has no setting {name}; choose another one before it: {choices}."
    if inside := [name for name in known if name.rpartition(".")[0] == key]:
        some = "'++" + key + "={NAME: VALUE, ...}'"
        return f"{key} holds several settings; set one of them: {', '.join(inside)}; or several at once: {some}"
    if "is not in struct" not in text and "No match" not in text:
        return f"{key}: {str(error.__cause__ or error).splitlines()[0]}"
    more = "; add other arguments of Lightning's Trainer with a plus: +trainer.NAME=VALUE"
    return unknown_key(key, known) + (more if parent == "trainer" else "")
