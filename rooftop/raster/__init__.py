"""Pictures, masks, polygons and rasters; no torch."""
