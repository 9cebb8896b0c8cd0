"""From what a mapper corrected to weights for the place."""
