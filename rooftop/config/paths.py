"""Paths in settings: `~`, files that come with the project, and quoting for Hydra and the shell."""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

_PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = (_PACKAGE / "included").is_dir()
"""The package comes from a wheel, not from a checkout."""
PROJECT = _PACKAGE / "included" if INSTALLED else _PACKAGE.parent
"""Folder with `conf/`, `pretrained/` and `data/`: the checkout, or a folder of the package (see `setup.py`)."""
CONF = PROJECT / "conf"
TYPED_AS = "ROOFTOP_TYPED_AS"  # in the environment: the command `rooftop`, of this process and those it starts
KEYS = (  # settings with a path; those of the splits start from data.root instead of the working directory
    *("run", "compare", "predictions", "annotations", "images", "source", "footprints", "fix", "unfinished", "resume"),
    *("data.root", "data.masks", "data.cache", "callbacks.start.run", "aoi", "corrected", "area", "calibrate"),
)
_SHIPPED = ("run", "data.root", "callbacks.start.run")  # may be paths inside the project
_ADDRESS = re.compile(r"\w[\w+.-]+:")  # https://..., s3://..., or DRIVER:FILE:PART
_HOME = re.compile(r"""(?<=[=,:\[{(\s'"])~[\w.-]*(?=/)""")
_PLAIN = re.compile(r"[\w/.+@%:-]+\Z", re.ASCII)  # Hydra reads these characters without quotes
_WORD = re.compile(r"(?!(?:true|false|null|nan|inf)\Z)[^\W\d][\w-]*\Z", re.ASCII | re.IGNORECASE)  # text without quotes


def shipped(path: str, there: str | None = None) -> str:
    """Find a file or folder of the project from any working directory.

    Args:
        path: as it was typed.
        there: the same path as seen from the present working directory; None: as typed.

    Returns:
        The path inside the project, if it exists only there; otherwise `there`.
    """
    there = there or path
    return str(PROJECT / path) if not Path(there).exists() and (PROJECT / path).exists() else there


def program(script: str) -> Path:
    """Return the file that runs a script: `train.py` of a checkout, or the module of an installed package."""
    return _PACKAGE / "scripts" / f"{script}.py" if INSTALLED else PROJECT / f"{script}.py"


def typed_command(script: str) -> str:
    """Return how the person types a script: `python make_masks.py`, or `rooftop make-masks`."""
    if INSTALLED or os.environ.get(TYPED_AS):
        return f"rooftop {script.replace('_', '-')}"
    return f"python {script}.py"


def as_typed(text: str) -> str:
    """Write the commands of a text (`python make_masks.py`) as the person types them, and `conf/` as it is found."""
    text = re.sub(r"\bpython (\w+)\.py\b", lambda found: typed_command(found[1]), text)
    return re.sub(r"\bconf/", lambda _: f"{CONF}/", text) if INSTALLED else text


def working_folder() -> Path:
    """Return the folder in which the command was typed; hydra.job.chdir=true leaves it for the output folder."""
    return Path(HydraConfig.get().runtime.cwd) if HydraConfig.initialized() else Path.cwd()


def with_paths(cfg: DictConfig) -> DictConfig:
    """Make the paths of a configuration usable, in place: `~`, files of the project, and hydra.job.chdir=true."""
    with open_dict(cfg):
        for key in _texts(cfg, "~"):
            OmegaConf.update(cfg, key, expand_home(OmegaConf.select(cfg, key)))
        for key in KEYS:
            value = OmegaConf.select(cfg, key)
            if isinstance(value, str):
                OmegaConf.update(cfg, key, _path(key, value))
            elif isinstance(value, ListConfig):
                OmegaConf.update(cfg, key, [_path(key, str(each)) for each in value])
    return cfg


def _texts(node: DictConfig | ListConfig, start: str) -> list[str]:
    """List the dotted keys of all texts with this start."""
    found: list[str] = []

    def walk(value: Any, key: str) -> None:
        if isinstance(value, dict | list):
            for name, child in value.items() if isinstance(value, dict) else enumerate(value):
                walk(child, f"{key}.{name}" if key else str(name))
        elif isinstance(value, str) and value.startswith(start):
            found.append(key)

    walk(OmegaConf.to_container(node, resolve=False), "")
    return found


def _path(key: str, value: str) -> str:
    """Return a path as seen from the present working directory."""
    typed_in = working_folder()
    there = value if typed_in == Path.cwd() or _ADDRESS.match(value) else str(typed_in / value)
    return shipped(value, there) if key in _SHIPPED else there


def expand_home(path: str) -> str:
    """Replace `~` or `~user` at the start of a path by the home folder, as a shell does."""
    return os.path.expanduser(path)  # noqa: PTH111 (an address, https://..., must stay as it is)


def with_home(override: str) -> str:
    """Replace `~/` at the start of each value of an override.

    The shell does so neither after `key=` (a key with a dot is no variable) nor in quotes, and Hydra cannot read `~`.
    """
    return _HOME.sub(lambda found: expand_home(found[0]), override)


def hydra_setting(key: str, value: object) -> str:
    """Format `key=value` for Hydra, with quotes if it needs them."""
    text = str(value)
    return f"{key}={text if _PLAIN.match(text) else _quoted(text)}"


def shell_setting(key: str, value: object) -> str:
    """Format `key=value` for the shell, with the quotes needed by the shell and by Hydra."""
    return shlex.quote(hydra_setting(key, value))


def shell_list(key: str, values: Sequence[object]) -> str:
    """Format `key=[...]` for the shell, of texts, numbers, or lists of them."""
    return shlex.quote(f"{key}={_hydra(values)}")


def _hydra(value: object) -> str:
    """Write a value in the grammar of Hydra."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_hydra, value))}]"
    if not isinstance(value, str) or _WORD.match(value):
        return str(value)
    return _quoted(value)


def _quoted(text: str) -> str:
    """Put a text into quotes of Hydra, which reads backslashes before a quote only."""
    escaped = re.sub(r'(\\*)"', r"\1\1\"", text)
    ending = re.search(r"\\*\Z", escaped)
    return f'"{escaped}{ending[0] if ending else ""}"'
