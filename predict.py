"""Find rooftops: run folder + pictures, GeoTIFFs or their addresses -> masks, outlines for maps, summary.

python predict.py source=photo.jpg                          with the shipped weights
python predict.py source=city.tif run=outputs/train/...     with your own
python predict.py source=city.tif trainer.devices=4         on four GPUs sharing the windows of the scene
python predict.py source=city.tif aoi=districts.gpkg        only the roofs inside the polygons of a file
python predict.py -m 'source=glob(city/*.tif)'              one job a file; hydra/launcher=... distributes them
"""

from rooftop.scripts.predict import main

if __name__ == "__main__":
    main()
