from functools import partial
from types import SimpleNamespace

import torch
from torch import nn

from rooftop.losses import BCE
from rooftop.metrics.pixel_metric import PixelScores
from rooftop.task import RooftopTask, valid_pixels


class Reds(nn.Module):
    """Says roof where the first channel is positive; halves the size if told so."""

    def __init__(self, *, half: bool = False):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.half = half

    def forward(self, image):
        logits = image[:, :1] * self.scale
        return nn.functional.avg_pool2d(logits, 2) if self.half else logits


def make(network):
    scores = partial(PixelScores, 1)
    return RooftopTask(network, BCE(), scores, optimizer=torch.optim.SGD, schedule=None, threshold=0.5, seed=0)


def batch(count=3):
    torch.manual_seed(0)
    mask = (torch.rand(count, 1, 12, 20) > 0.5).byte()
    image = torch.cat([mask * 20.0 - 10.0, torch.zeros(count, 2, 12, 20)], dim=1)
    return {"image": image, "mask": mask, "valid": torch.ones(count, 12, 20, dtype=torch.bool)}


def counted(task, *batches):
    for one in batches:
        task.validation_step(one, 0)
    return task._metric("val").compute()


def test_truth_scored_against_itself_is_1():
    result = counted(make(Reds()), batch())
    assert result["iou"] == result["f1"] == result["accuracy"] == 1
    assert result["loss"] < 1e-3


def test_loss_and_scores_do_not_depend_on_the_cut_into_batches():
    whole = batch(4)
    whole["image"][0] *= -1
    parts = [{name: tensor[i : i + 1] for name, tensor in whole.items()} for i in range(4)]
    together, apart = counted(make(Reds()), whole), counted(make(Reds()), *parts)
    assert together["iou"] == apart["iou"] < 1
    torch.testing.assert_close(together["loss"], apart["loss"])


def test_logits_take_the_size_of_the_truth():
    assert make(Reds(half=True)).logits(batch()).shape == (3, 1, 12, 20)


def test_checkpoint_holds_plain_containers_only(tmp_path, trained):
    content = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    assert "network.head.weight" in content["state_dict"]
    assert "hyper_parameters" not in content


def test_each_batch_of_an_accumulated_step_drops_out_otherwise():
    task, drawn = make(Reds()), []
    task._trainer = SimpleNamespace(current_epoch=1, num_training_batches=4, global_step=2, global_rank=0)
    for place in range(4):
        task.on_train_batch_start(batch(), place)
        drawn.append(float(torch.rand(1)))
    assert len(set(drawn)) == 4
    task.on_train_batch_start(batch(), 2)
    assert float(torch.rand(1)) == drawn[2]


def test_own_metrics_see_the_valid_pixels_of_the_categories():
    probability = torch.arange(24.0).reshape(2, 3, 2, 2)  # two categories and one further target
    valid = torch.tensor([[[True, False], [False, False]], [[False, False], [False, True]]])
    pixels, truth = valid_pixels(probability, (probability > 10).byte(), valid, 2)
    assert pixels.tolist() == [[0, 4], [15, 19]]
    assert truth.tolist() == [[0, 0], [1, 1]]
    assert valid_pixels(probability, probability, valid, 1)[0].tolist() == [0, 15]
