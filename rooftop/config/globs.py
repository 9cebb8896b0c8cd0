"""Sweeps over files: `-m 'source=glob(city/*.tif)'` is one job a file.

Hydra's own `glob` chooses among the files of a configuration group; here it serves every other key too.
"""

import glob
import re
from fnmatch import fnmatch
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.errors import HydraException

from rooftop.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z_./][\w./-]*")  # needs no quotes in Hydra's grammar


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
