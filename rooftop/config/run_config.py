"""The configuration stored in a run folder: `.hydra/config.yaml`.

It is data of whoever made the run. Only keys in the schema of `train.py` are taken from it, never settings of Hydra; it
is bounded in size, and its interpolations may name its own keys and the output folder, nothing of this machine.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rooftop.config.check import check, flattened, in_schema, plain
from rooftop.config.paths import shipped
from rooftop.config.schema import SCHEMAS, check_ranges
from rooftop.errors import ConfigError, RunError
from rooftop.files import atomic_write

log = logging.getLogger(__name__)
RESUMED = "resumed_run"  # name of the stored configuration for Hydra
MOST_BYTES, MOST_LEVELS = 2**18, 20  # of a stored configuration; usual are 4 KB and 5 nodes inside one another
OUTPUT = "${hydra:runtime.output_dir}"
_STORED, _HYDRA = Path(".hydra", "config.yaml"), Path(".hydra", "hydra.yaml")
_FAULTS = (ConfigError, OmegaConfBaseException, RecursionError)  # the last one: of a value that names itself
_OWN_KEY = re.compile(r"\$\{\.*\w+([.-]\w+)*\}")  # ${monitor.name}, ${..lr}


def save_config(cfg: DictConfig, folder: Path) -> None:
    """Store the configuration of a resumed run, for the next resume."""
    stored = cfg.copy()
    stored.resume = None
    with atomic_write(folder / _STORED) as part:
        OmegaConf.save(stored, part)


def register_stored(folder: Path) -> DictConfig:
    """Check the stored configuration of a run and hand it to Hydra under the name `RESUMED`.

    The output folder, the log and everything else of Hydra are those of `conf/`. A key unknown to the version of the
    run gets the default of the schema, the value that held before there was this key.

    Args:
        folder: run folder.

    Returns:
        The stored settings.

    Raises:
        RunError: the file is damaged, or has a wrong key or value.
    """
    path = folder / _STORED
    stored = _in_schema(_read(path), path)
    try:
        job = _with_output(stored, folder)
        if missing := sorted(OmegaConf.missing_keys(job)):
            raise ConfigError(f"{missing[0]} is missing.")
        check(job, "train")
    except _FAULTS as error:
        raise _wrong(path, _fault(error)) from error
    settings: Any = OmegaConf.to_container(stored, resolve=False)
    ours = {"defaults": ["output", "_self_"], "hydra": {"job": {"name": "train"}}}
    ConfigStore.instance().store(name=RESUMED, node={**ours, **settings})
    return stored


def data_of_run(cfg: DictConfig, run: str) -> dict[str, Any]:
    """Return the data set to score a run on: the one of its training, unless the command line has `data=NAME`.

    Single keys of the command line (`data.root=...`) count in both cases, and so does the folder of indexes: a run
    does not choose where files are written. A run without a stored configuration, such as the shipped one, or one of
    adapt.py, is scored on the data set of `conf/`.

    Args:
        cfg: configuration of the running job, with a `data` group.
        run: run folder.

    Returns:
        The `data` group as plain containers.

    Raises:
        RunError: the stored configuration is damaged, or has a wrong key or value.
    """
    path = Path(run) / _STORED
    overridden = [item.lstrip("+~").partition("=")[0] for item in HydraConfig.get().overrides.task]
    if "data" in overridden or not path.is_file():
        return plain(cfg.data)
    content = _read(path)
    if "data" not in content and "corrected" in content:
        log.info("data: %s, since a run of adapt.py has no data set of its own; data= names another", cfg.data.name)
        return plain(cfg.data)
    if not isinstance(content.get("data"), DictConfig):
        raise _wrong(path, "data is missing")
    stored = _in_schema(OmegaConf.create({"data": content._get_node("data")}), path)
    try:
        own = OmegaConf.create({"data": {**plain(cfg.data), **plain(stored.data), "cache": cfg.data.cache}})
        check_ranges(plain(own), "train")
    except _FAULTS as error:
        raise _wrong(path, _fault(error)) from error
    for key in overridden:
        if key.startswith("data."):
            OmegaConf.update(own, key, OmegaConf.select(cfg, key), merge=False)
    own.data.root = _from_training(run, shipped(own.data.root))
    log.info("data: %s in %s, as in the training of the run", own.data.name, own.data.root)
    return plain(own.data)


class Stored(NamedTuple):
    """The settings of a training, to tell it from others; texts that nothing is built from.

    Attributes:
        settings: value of each dotted key; interpolations as they stand in the file.
        choices: file chosen in each group, such as {"loss": "dice"}; empty if unknown.
        typed: keys of the command line; empty if unknown.
    """

    settings: dict[str, str]
    choices: dict[str, str]
    typed: list[str]


def stored_settings(run: Path) -> Stored | None:
    """Read the settings of a training from its run folder; None if the folder does not hold them.

    A key unknown to the version of the run gets the default of the schema, so that runs of two versions differ only
    in what was chosen.

    Raises:
        RunError: the stored configuration is damaged.
    """
    path = run / _STORED
    if not path.is_file():
        return None
    content = _read(path)
    try:
        content = in_schema(content, "train")
    except ConfigError:  # of another version: compared as it stands
        log.debug("%s does not fit the schema", path)
    known: Any = OmegaConf.to_container(content, resolve=False)
    settings = {key: str(value) for key, value in flattened(known).items()}
    try:
        hydra: Any = OmegaConf.to_container(_read(run / _HYDRA), resolve=False)
        chosen, typed = hydra["hydra"]["runtime"]["choices"], hydra["hydra"]["overrides"]["task"]
        choices = {str(key): str(value) for key, value in chosen.items() if not str(key).startswith("hydra")}
        return Stored(settings, choices, [str(word).lstrip("+~").partition("=")[0] for word in typed])
    except (RunError, LookupError, TypeError, AttributeError):
        return Stored(settings, {}, [])


def _from_training(run: str, root: str) -> str:
    """Resolve a relative path from the working directory of the training, if it does not exist from here."""
    path = Path(run) / _HYDRA
    if Path(root).exists() or not path.is_file():
        return root
    try:
        there: Any = OmegaConf.to_container(_read(path), resolve=False)
        there = Path(str(there["hydra"]["runtime"]["cwd"])) / root
        return str(there) if there.exists() else root
    except (RunError, LookupError, TypeError, ValueError, OSError):
        return root


# --- reading ---


def _read(path: Path) -> DictConfig:
    """Read a YAML file into nodes without resolving anything.

    Raises:
        RunError: it is not YAML, or larger than any configuration.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8")
        _require_small(text)
        content = OmegaConf.create(text)
        if not isinstance(content, DictConfig):
            raise ValueError("a list")
        return content
    except (ValueError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise _damaged(path, error) from error
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise _damaged(path, error) from error


def _require_small(text: str) -> None:
    """Refuse what would grow when read: references to other nodes, and nodes inside one another without end.

    Raises:
        ValueError: there is such a node.
    """
    level = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("a reference to another node")
        if level > MOST_LEVELS:
            raise ValueError(f"more than {MOST_LEVELS} nodes inside one another")


def _in_schema(content: DictConfig, path: Path) -> DictConfig:
    """Put settings into the schema of `train.py`: missing keys get its defaults.

    Raises:
        RunError: a key is outside the schema, or a value asks for more than its own keys and the output folder.
    """
    known = {field.name for field in fields(SCHEMAS["train"])}
    for key in content:
        if key not in known:
            raise _wrong(path, f"{key!s:.100} is no key of train.py; remove it")
    for key, value in _leaves(OmegaConf.to_container(content, resolve=False), ""):
        if "${" in _OWN_KEY.sub("", value.replace(OUTPUT, "")):
            raise _wrong(path, f"{key}={value:.100} reads from outside this file; write its value")
    try:
        return in_schema(content, "train")
    except ConfigError as error:
        raise _wrong(path, str(error)) from error


def _leaves(node: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield (dotted key, text) of each text in plain containers."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in pairs:
        yield from _leaves(child, f"{key}.{name}" if key else str(name))
    if isinstance(node, str):
        yield key, node


def _with_output(stored: DictConfig, folder: Path) -> DictConfig:
    """Fill in the output folder, which Hydra knows only in a job."""

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: filled(child) for name, child in node.items()}
        if isinstance(node, list):
            return [filled(child) for child in node]
        return node.replace(OUTPUT, str(folder)) if isinstance(node, str) else node

    job: DictConfig = OmegaConf.create(filled(OmegaConf.to_container(stored, resolve=False)))
    return job


def _fault(error: Exception) -> str:
    key = getattr(error, "full_key", None)  # of OmegaConf's errors
    return f"{key}: {error}" if key else str(error)


def _wrong(path: Path, fault: str) -> RunError:
    reason = f"{fault.splitlines()[0]:.400}".rstrip(".")
    return RunError(f"{path}: {reason}; correct the file, or copy the run folder again.")


def _damaged(path: Path, error: Exception) -> RunError:
    reason = " ".join(str(error).split())[:200]
    return RunError(f"{path}: not a stored configuration ({reason}); copy the run folder again.")
