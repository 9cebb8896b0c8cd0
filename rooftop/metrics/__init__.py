"""Scores, each defined once: counts first, summed over the whole split, divided at the end.

pixel        IoU, F1, precision, recall, accuracy from four counts
curve        precision-recall curve, average precision, best threshold, calibration from one histogram
boundary     boundary IoU (Cheng et al. 2021), boundary F1 within some pixels
objects      COCO AP and AR, boundary AP, the crowdAI challenge's AP and AR, SpaceNet F1
panoptic     panoptic quality
polygons     C-IoU, N-ratio, PoLiS, max tangent angle error, Hausdorff, holes
shift        pixel IoU after the best shift of each picture
error_kinds  errors of roofs by kind: ragged, merged, split, missed, fragment, invented
bootstrap    intervals over pictures, paired differences
published    variants of polygon scores as published code computes them

Only `pixel_metric`, the four counts as a metric for training, needs torch.
"""
