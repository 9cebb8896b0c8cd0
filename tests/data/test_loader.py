"""Batches of loader processes: what was handed over is never overwritten, and what fits no slab comes all the same."""

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from rooftop.data.dataset import collate
from rooftop.data.loader import MOST, PREFETCH, SlabLoader, make_slabs
from rooftop.errors import DataError

BATCHES = 12
FILL = np.array([7, 8, 9], np.uint8)


class Numbered(Dataset):
    """Pictures that show their own number; the last is larger than the others."""

    def __len__(self):
        return 2 * BATCHES

    def __getitem__(self, i):
        height = 24 if i < len(self) - 1 else 2400
        picture = np.full((height, 40, 3), i, np.uint8)
        valid = np.ones((height, 40), bool)
        return {"picture": picture, "mask": picture[None, ..., 0] % 2, "valid": valid, "index": i}


class Broken(Numbered):
    """One of the pictures cannot be read."""

    def __getitem__(self, i):
        if i == 3:
            try:
                raise ValueError("cut off")
            except ValueError as error:
                raise DataError("18_3.png: cannot be read; take it out.") from error
        return super().__getitem__(i)


def loader(workers, size, dataset=Numbered):
    slabs = make_slabs(workers, size)
    return SlabLoader(
        dataset=dataset(),
        batch_size=2,
        collate_fn=lambda samples: collate(samples, fill=FILL, slabs=slabs),
        num_workers=workers,
        prefetch_factor=PREFETCH if workers else None,
        persistent_workers=workers > 0,
        slabs=slabs,
        pin=False,
    )


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_that_are_kept_stay_what_they_were(workers):
    batches = loader(workers, 20_000)
    kept = [*batches, *batches]
    assert len(kept) == 2 * BATCHES
    for number, batch in enumerate(kept):
        for place, i in enumerate(range(2 * (number % BATCHES), 2 * (number % BATCHES) + 2)):
            assert batch["index"][place] == i
            assert (batch["picture"][place, :24] == i).all()
            assert (batch["mask"][place, :, :24] == i % 2).all()
            assert batch["valid"][place, :24].all()
    assert kept[-1]["picture"].shape == (2, 2400, 40, 3)
    assert (kept[-1]["picture"][0, 24:] == torch.from_numpy(FILL)).all()
    assert not kept[-1]["valid"][0, 24:].any()


def test_a_stopped_epoch_leaves_the_next_whole():
    batches = loader(2, 20_000)
    first = next(iter(batches))
    assert [int(batch["index"][0]) for batch in batches] == list(range(0, 2 * BATCHES, 2))
    assert first["index"].tolist() == [0, 1]


def test_slabs_are_for_processes_and_batches_of_a_bounded_size():
    assert make_slabs(0, 1000) is None
    assert make_slabs(1, MOST + 1) is None
    assert make_slabs(1, MOST) is not None


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_picture_is_one_sentence_whichever_process_reads_it(workers):
    with pytest.raises(DataError) as caught:
        list(loader(workers, 20_000, Broken))
    assert str(caught.value) == "18_3.png: cannot be read; take it out."
