""""""

import pytest
import torch

from rooftop.metrics.pixel_metric import PixelScores


def batches():
    torch.manual_seed(0)
    prediction, mask = torch.rand(5, 2, 12, 20) > 0.4, (torch.rand(5, 2, 12, 20) > 0.6).byte()
    valid = torch.rand(5, 12, 20) > 0.1
    return prediction, mask, valid, torch.arange(5.0)


def measured(cut):
    prediction, mask, valid, losses = batches()
    metric = PixelScores(2)
    for start in range(0, 5, cut):
        part = slice(start, start + cut)
        metric.update(prediction[part], mask[part], valid[part], losses[part])
    return metric.compute()


def test_scores_do_not_depend_on_batch_size():
    assert measured(1) == measured(2) == measured(5)
    assert measured(2)["loss"] == pytest.approx(2.0)


def test_scores_are_those_of_the_counts():
    prediction, mask, valid, _ = batches()
    seen = valid[:, None].expand_as(prediction)
    said, true = prediction[seen], mask.bool()[seen]
    result = measured(2)
    assert result["iou"] == pytest.approx((said & true).sum().item() / (said | true).sum().item())
    assert result["accuracy"] == pytest.approx((said == true).float().mean().item())


def test_empty_against_empty_is_1_and_a_picture_that_is_not_valid_does_not_count():
    metric = PixelScores(1)
    nothing = torch.zeros(2, 1, 12, 20, dtype=torch.bool)
    valid = torch.zeros(2, 12, 20, dtype=torch.bool)
    valid[0] = True
    metric.update(nothing, nothing, valid, torch.tensor([3.0, 100.0]))
    result = metric.compute()
    assert result["iou"] == result["f1"] == 1
    assert result["loss"] == 3.0


def test_targets_beyond_the_categories_are_not_scored():
    prediction, mask, valid, losses = batches()
    more = PixelScores(2)
    more.update(torch.cat([prediction, ~prediction], 1), torch.cat([mask, mask], 1), valid, losses)
    assert more.compute() == measured(5)
