"""Polygons of vector files in any GDAL format, in the pixel frame of a raster."""
