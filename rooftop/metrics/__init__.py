"""Scores, each defined once: counts first, summed over the whole split, divided at the end.

pixel        IoU, F1, precision, recall, accuracy out of four counts
curve        precision-recall curve, average precision, best threshold, calibration out of one histogram
boundary     boundary IoU (Cheng et al. 2021), boundary F1 within some pixels
objects      COCO AP and AR, boundary AP, the crowdAI challenge's AP and AR, SpaceNet F1
polygon      C-IoU, N-ratio, PoLiS, max tangent angle error, Hausdorff, holes
bootstrap    intervals over pictures, paired differences

Nothing here needs torch, except `counts`, which wraps the four counts for training.
"""
