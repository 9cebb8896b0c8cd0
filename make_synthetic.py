"""Make pictures of towns that do not exist, with exact outlines of their roofs: a seed -> pictures + COCO json.

python make_synthetic.py                        500 pictures at 0.3 m, for python train.py data=synthetic
python make_synthetic.py size=128 gsd=0.6       the same towns, seen half as sharply
python make_synthetic.py count=0 scene=4096     one GeoTIFF with its roofs as GeoJSON
"""

from rooftop.scripts.make_synthetic import main

if __name__ == "__main__":
    main()
