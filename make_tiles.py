"""Make a data set from GIS data: orthophotos + footprints -> pictures + COCO json.

python make_tiles.py source=ortho.tif footprints=buildings.gpkg
python make_tiles.py source='area/*.tif' footprints=osm.geojson size=512 gsd=0.3
"""

from rooftop.scripts.make_tiles import main

if __name__ == "__main__":
    main()
