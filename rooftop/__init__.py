"""Find rooftops in satellite pictures: from COCO annotations to GIS-ready polygons."""

__version__ = "0.1.0"
