"""Pictures for people: panels, overlays, curves. The only door to matplotlib."""
