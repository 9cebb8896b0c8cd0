import math

import pytest
import torch

from rooftop.losses import BCE, Dice, Focal, GapBCE, WeightedSum, bce, dice, focal, gap_bce

LOSSES = [BCE(), Dice(), Focal(gamma=2.0, alpha=0.5), GapBCE(reach=3, weight=2.0)]


def example():
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 6, 9, requires_grad=True)
    mask = (torch.rand(2, 1, 6, 9) > 0.5).byte()
    return logits, mask, torch.ones(2, 6, 9, dtype=torch.bool)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
class TestEveryLoss:
    """What holds for all of them."""

    def test_right_is_near_0_and_better_than_wrong(self, loss):
        _, mask, valid = example()
        right = (mask.float() * 2 - 1) * 30
        assert loss(right, mask, valid) < 1e-3
        assert loss(right, mask, valid) < loss(-right, mask, valid)

    def test_pixels_that_are_not_valid_have_no_part(self, loss):
        logits, mask, valid = example()
        valid[0, :, 4:] = False
        changed, other = logits.detach().clone(), mask.clone()
        changed[0, :, :, 4:] = 1000.0
        other[0, :, :, 4:] = 1 - other[0, :, :, 4:]
        torch.testing.assert_close(loss(logits, mask, valid), loss(changed, other, valid))

    def test_nothing_valid_is_0_with_a_gradient(self, loss):
        logits, mask, valid = example()
        value = loss(logits, mask, torch.zeros_like(valid))
        value.backward()
        assert value == 0
        assert not logits.grad.any()

    def test_huge_logits_stay_finite(self, loss):
        logits, mask, valid = example()
        value = loss(logits * 1e4, mask, valid)
        value.backward()
        assert value.isfinite()
        assert logits.grad.isfinite().all()


def test_bce_by_hand():
    logits = torch.tensor([[[[0.0, math.log(3)]]]])  # probabilities 1/2 and 3/4
    mask = torch.tensor([[[[1, 0]]]])
    expected = -(math.log(0.5) + math.log(0.25)) / 2
    assert bce(logits, mask, torch.ones(1, 1, 2, dtype=torch.bool)).item() == pytest.approx(expected)


def test_dice_by_hand():
    logits = torch.tensor([[[[0.0, math.log(3)]]]])  # overlap 1/2, sums 5/4 and 1
    mask = torch.tensor([[[[1, 0]]]])
    value = dice(logits, mask, torch.ones(1, 1, 2, dtype=torch.bool), smooth=1.0)
    assert value.item() == pytest.approx(1 - (2 * 0.5 + 1) / (1.25 + 1 + 1))


def test_focal_without_focus_is_half_of_bce():
    logits, mask, valid = example()
    torch.testing.assert_close(focal(logits, mask, valid, gamma=0.0, alpha=0.5), 0.5 * bce(logits, mask, valid))


def test_weighted_sum_is_the_sum_and_null_drops_out():
    logits, mask, valid = example()
    both = WeightedSum(terms={"bce": BCE(), "dice": Dice(), "focal": None}, weights={"bce": 0.5, "dice": 2.0})
    torch.testing.assert_close(
        both(logits, mask, valid), 0.5 * bce(logits, mask, valid) + 2 * dice(logits, mask, valid, smooth=1.0)
    )


def test_term_without_weight_is_named():
    with pytest.raises(ValueError, match="the weight of dice is missing"):
        WeightedSum(terms={"dice": Dice()}, weights={"bce": 1.0})


def test_gaps_weigh_more():
    mask = torch.zeros(1, 1, 9, 13)
    mask[..., 1:8, 1:6] = 1
    mask[..., 1:8, 7:12] = 1  # a gap of one column between two roofs
    logits, valid = torch.zeros(1, 1, 9, 13), torch.ones(1, 9, 13, dtype=torch.bool)
    plain = bce(logits, mask, valid)
    heavier = gap_bce(logits, mask, valid, reach=3, weight=4.0)
    assert heavier.item() == pytest.approx(plain.item() * (1 + 4 * 7 / (9 * 13)), rel=1e-5)
    assert gap_bce(logits, mask, valid, reach=3, weight=0.0).item() == pytest.approx(plain.item())
    assert gap_bce(logits, torch.ones_like(mask), valid, reach=3, weight=4.0).item() == pytest.approx(plain.item())
