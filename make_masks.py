"""Draw the annotations of each split into mask files, one for each picture.

python make_masks.py                                         the embedded data set
python make_masks.py data=crowdai data.root=DIR limit=1000   the first pictures of each split
python make_masks.py data=crowdai data.root=DIR init=true    only the empty folder tree to copy the files into
"""

from rooftop.scripts.make_masks import main

if __name__ == "__main__":
    main()
