"""The scripts, and the command `rooftop` in front of them: `rooftop predict source=city.tif`.

Each module here is one script. `predict.py` at the top of a checkout and `rooftop predict` of an installed package are
two doors to the same `main`. Of the scripts only the one that was typed is imported.
"""

import difflib
import importlib
import os
import sys

from rooftop.config.paths import TYPED_AS, program
from rooftop.version import __version__

SCRIPTS = {
    "predict": "find roofs in pictures and GeoTIFFs",
    "train": "train a network on your data",
    "evaluate": "score a run, or compare several",
    "adapt": "make the weights right for a town, from corrected roofs",
    "check_data": "look for faults in a data set before training",
    "make_masks": "draw annotations into mask files",
    "make_tiles": "cut orthophotos and footprints into a data set",
    "make_synthetic": "draw pictures of made-up towns",
    "export": "write a run as ONNX",
}
_HELP = """\
rooftop {version}: find roofs in aerial and satellite pictures

{commands}

A setting is name=value: rooftop predict source=city.tif
All settings of a command: rooftop COMMAND --help"""


def main() -> None:
    """Run the script that the first word names; the other words are its command line."""
    first, words = (sys.argv[1] if len(sys.argv) > 1 else "--help"), sys.argv[2:]
    if first in ("--help", "-h", "help"):
        commands = "\n".join(f"  rooftop {_word(name):<16}{what}" for name, what in SCRIPTS.items())
        print(_HELP.format(version=__version__, commands=commands))
        return
    if first == "--version":
        print(f"rooftop {__version__}")
        return
    name = first.replace("-", "_")
    if name not in SCRIPTS:
        print(f"error: {_unknown(first)}", file=sys.stderr)
        sys.exit(2)
    os.environ[TYPED_AS] = "rooftop"
    # what Lightning starts again for each further device: the script itself, by its path
    sys.argv, sys.modules["__main__"].__spec__ = [str(program(name)), *words], None
    importlib.import_module(f"rooftop.scripts.{name}").main()


def _word(name: str) -> str:
    """The word for a script on the command line: `make-masks` for `make_masks`."""
    return name.replace("_", "-")


def _unknown(first: str) -> str:
    words = [_word(name) for name in SCRIPTS]
    near = difflib.get_close_matches(first.replace("_", "-"), words, n=1, cutoff=0.5)
    hint = f"did you mean rooftop {near[0]}?" if near else f"commands are {', '.join(words)}."
    return f"rooftop has no command {first}: {hint}"
