"""Check every key of a configuration before any work starts."""

import re
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from rooftop.config.build import check_target, targets, unknown_key
from rooftop.config.paths import with_paths
from rooftop.config.schema import SCHEMAS, check_ranges, type_of
from rooftop.errors import ConfigError


def check(cfg: DictConfig, script: str) -> DictConfig:
    """Check a composed configuration against its schema, its ranges and the signatures of its targets.

    Args:
        cfg: composed configuration of one job, without the hydra node.
        script: name of the script, a key of `SCHEMAS`.

    Returns:
        The configuration with values converted to the types of the schema (`no` to False for a switch, 2024 to "2024"
        for a path), and with usable paths.

    Raises:
        ConfigError: unknown key (with the nearest known one), wrong type, missing value, value outside its range, or
            unknown target.
    """
    merged = in_schema(cfg, script)
    missing = sorted(OmegaConf.missing_keys(merged))
    if missing:
        raise ConfigError(f"{missing[0]} is not set; give it on the command line: {missing[0]}=VALUE")
    try:
        settings = plain(merged)
    except (MissingMandatoryValue, OmegaConfBaseException) as error:
        raise ConfigError(f"{error.full_key!s}: {str(error).splitlines()[0]}") from error
    check_ranges(settings, script)
    for key, node in targets(settings, ""):
        check_target(key, node)
    return with_paths(merged)


def in_schema(cfg: DictConfig, script: str) -> DictConfig:
    """Put settings into the schema of a script: values get its types, and keys with a default may be missing.

    Raises:
        ConfigError: unknown key or wrong type.
    """
    schema = OmegaConf.structured(SCHEMAS[script])
    try:
        return OmegaConf.merge(schema, cfg)  # type: ignore[return-value]
    except ConfigKeyError as error:
        raise ConfigError(unknown_key(str(error.full_key), keys_of(schema) + keys_of(cfg))) from error
    except OmegaConfBaseException as error:
        raise ConfigError(_type_fault(script, str(error.full_key), str(error).splitlines()[0])) from error


def _type_fault(script: str, key: str, reason: str) -> str:
    """Describe a value of the wrong type in one sentence; `reason` is the message of OmegaConf."""
    expected = type_of(script, key.partition("[")[0])
    wrong = re.search(
        r"(?:Value|Incompatible value|to string:) '(.*?)'(?: of type| is not a valid| for field|$)", reason
    )
    if wrong and expected:
        value = "null" if wrong.group(1) == "None" else wrong.group(1)
        return f"{key}={value}: expected {expected}."
    if "is not a ListConfig" in reason:
        return f"{key} is a list: write it in brackets: '{key}=[VALUE, ...]'"
    if "is not a subclass of" in reason:
        return f"{key} holds several settings: '{key}={{NAME: VALUE, ...}}'"
    return f"{key}: {reason}"


def keys_of(cfg: DictConfig) -> list[str]:
    """List all dotted keys of a configuration, inner nodes included, the hydra node excluded."""
    found: list[str] = []

    def walk(node: Any, prefix: str) -> None:
        if not isinstance(node, DictConfig) or node._is_none() or node._is_missing():
            return
        for name in node:
            if prefix or name != "hydra":
                key = prefix + str(name)
                found.append(key)
                if not OmegaConf.is_missing(node, name):
                    walk(node._get_node(name), f"{key}.")

    walk(cfg, "")
    return found


def plain(node: DictConfig) -> dict[str, Any]:
    """Convert settings to plain, resolved containers; the package outside of `config` takes only these."""
    return OmegaConf.to_container(node, resolve=True, enum_to_str=True)  # type: ignore[return-value]


def flat(cfg: DictConfig) -> dict[str, Any]:
    """Convert settings to one level of dotted keys with plain values, for tables."""
    return flattened(plain(cfg))


def flattened(settings: dict[str, Any]) -> dict[str, Any]:
    """Put plain containers on one level of dotted keys; a list becomes a text."""
    found: dict[str, Any] = {}

    def walk(node: Any, key: str) -> None:
        if isinstance(node, dict) and node:
            for name, child in node.items():
                walk(child, f"{key}.{name}" if key else str(name))
        else:
            found[key] = node if isinstance(node, bool | int | float | str) else str(node)

    walk(settings, "")
    return found
