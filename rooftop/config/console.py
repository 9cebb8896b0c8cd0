"""Log lines on the screen."""

import logging
import sys
from typing import Any


class ConsoleHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what `sys.stdout` is now, not to what it was at the start.

    While a progress bar of rich is shown, `sys.stdout` is a proxy that prints above the bar; a stream kept from the
    start writes into the line of the bar.
    """

    def __init__(self, stream: Any = None) -> None:
        super().__init__(sys.stdout)

    @property
    def stream(self) -> Any:
        """Return the present standard output."""
        return sys.stdout

    @stream.setter
    def stream(self, value: Any) -> None:
        """Ignore the stream that the configuration of Hydra names, standard output at the start."""
