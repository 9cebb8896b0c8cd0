"""Score a run, or any two COCO files: pixels, boundaries, roofs, polygons, and a report with pictures.

python evaluate.py run=outputs/train/...                                   the run's own kind of data, test split
python evaluate.py run=outputs/train/... data=crowdai data.root=DIR split=val
python evaluate.py run=RUN_A compare=RUN_B                                 which one is better, and is it chance?
python evaluate.py run=outputs/train/..._sweep                             all runs of a sweep; seeds are averaged
python evaluate.py predictions=FILE annotations=FILE [images=DIR]          predictions of any system
"""

from rooftop.scripts.evaluate import main

if __name__ == "__main__":
    main()
