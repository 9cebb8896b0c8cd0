"""Score a run on an annotated split: every picture in its own size, counts summed, scores once at the end."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from rooftop.data.dataset import RoofDataset
from rooftop.errors import DataError
from rooftop.files import write_json
from rooftop.inference.predictor import Predictor
from rooftop.metrics.pixel import Counts, count, scores


def evaluate(
    predictor: Predictor, dataset: RoofDataset, folder: Path, *, split: str, threshold: float
) -> dict[str, Any]:
    """Predict all pictures of a split and write `scores.json`.

    Args:
        predictor: of the run.
        dataset: pictures with truth; its own preparation is not used, that of the run's card is.
        folder: where to write.
        split: its name, for the record.
        threshold: probability from which on a pixel is called roof.

    Returns:
        What was written: `pixel` scores, split, number of pictures, threshold, run.

    Raises:
        DataError: the truth has another number of categories than the run.
    """
    known, asked = predictor.run.card.categories, dataset.source.categories
    if len(known) != len(asked):
        raise DataError(
            f"the run tells {len(known)} categories ({', '.join(known)}), the data set {len(asked)} "
            f"({', '.join(asked)}); choose by data.categories."
        )
    total = Counts(0, 0, 0, 0)
    for i in track(dataset.picks, description=split):
        mask, valid = dataset.source.truth(int(i))
        probability = predictor.probability(dataset.source.picture(int(i)))
        total += count(probability >= threshold, mask, valid)
    result = {
        "pixel": scores(total),
        "split": split,
        "pictures": len(dataset),
        "threshold": threshold,
        "run": str(predictor.run.folder),
    }
    write_json(folder / "scores.json", result)
    _report(result, folder)
    return result


def _report(result: dict[str, Any], folder: Path) -> None:
    table = Table(title=f"{result['split']}: {result['pictures']} pictures")
    for name in result["pixel"]:
        table.add_column(name, justify="right")
    table.add_row(*(f"{value:.4f}" for value in result["pixel"].values()))
    Console().print(table)
    print(f"written: {folder / 'scores.json'}")
