"""Train a network: data -> run folder (weights, card, checkpoints, TensorBoard, pictures, scores).

python train.py                                        the embedded data set, some minutes on two cores
python train.py model.depth=4 loss=dice                any key of conf/ can be given here
python train.py -m model.depth=3,4,5 loss=bce,dice     a sweep, which ends with one table
python train.py resume=outputs/train/...               go on where a run stopped
"""

from rooftop.scripts.train import main

if __name__ == "__main__":
    main()
