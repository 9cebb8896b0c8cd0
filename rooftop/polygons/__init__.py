"""Roofs out of probabilities: polygons apart, simple, square-cornered, and written for maps."""
