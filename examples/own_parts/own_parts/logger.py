"""A logger of Lightning."""

import json
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only


class Lines(Logger):
    """Appends a line of JSON for each call.

    Args:
        path: of the file.
    """

    def __init__(self, *, path: str) -> None:
        super().__init__()
        self.path = Path(path)

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "lines"

    @property
    def version(self) -> int:
        """Version of the experiment."""
        return 0

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append scores."""
        with self.path.open("a") as file:
            print(json.dumps({"step": step, **metrics}), file=file)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Leave settings to .hydra/config.yaml."""
