"""Make the weights right for a town: corrected squares -> run folder, and scores before and after.

python predict.py source=city.tif                          roofs.gpkg with the layer check_first
(in QGIS: correct the roofs in some squares, set `checked` of these squares to true)
python adapt.py source=city.tif corrected=outputs/predict/.../roofs.gpkg
python adapt.py source=city.tif footprints=osm.gpkg area=checked_streets.geojson
"""

from rooftop.scripts.adapt import main

if __name__ == "__main__":
    main()
