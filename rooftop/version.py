"""The version, in one place, which any module may import."""

__version__ = "0.1.0"
