"""Layers of web maps by address, read through GDAL's WMS driver: XYZ tiles, `https://host/{z}/{x}/{y}.png`.

WMS and WMTS layers are files for GDAL already (`gdal_translate -of WMS`, XML), and come here as any raster. Servers are
asked by two connections at most, with the name of this program; where one fails, again after growing pauses.
"""

import re
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from rooftop.version import __version__

DRIVERS = ("WMS", "WMTS")  # GDAL's names
BETWEEN = 0.1  # seconds between two windows
PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds before a failed window is asked for again
_ZOOM = 19  # of {z}: 0.3 m a pixel at the equator, finer towards the poles
_HALF = 20037508.342789244  # map units of EPSG:3857 from the middle to the border
_PARTS = re.compile(r"\{([xyz])\}")


def is_tile_service(path: str) -> bool:
    """Report whether a name is the address of XYZ tiles."""
    return path.startswith(("http://", "https://")) and {"x", "y"} <= {*_PARTS.findall(path)}


def service_name(path: str) -> str:
    """Return the host of an address, for names of files."""
    return re.sub(r"[^\w.-]+", "-", urlsplit(path).netloc.rpartition("@")[2])


def service(path: str) -> str:
    """Return the description of a tile service for GDAL; a number in place of {z} chooses another zoom than 19."""
    number = re.search(r"/(\d{1,2})/\{x\}/\{y\}", path)
    zoom = int(number[1]) if number and "{z}" not in path else _ZOOM
    address = _PARTS.sub(r"${\1}", path)
    return f"""<GDAL_WMS>
  <Service name="TMS"><ServerUrl>{escape(address)}</ServerUrl></Service>
  <DataWindow>
    <UpperLeftX>{-_HALF}</UpperLeftX><UpperLeftY>{_HALF}</UpperLeftY>
    <LowerRightX>{_HALF}</LowerRightX><LowerRightY>{-_HALF}</LowerRightY>
    <TileLevel>{zoom}</TileLevel><TileCountX>1</TileCountX><TileCountY>1</TileCountY><YOrigin>top</YOrigin>
  </DataWindow>
  <Projection>EPSG:3857</Projection><BlockSizeX>256</BlockSizeX><BlockSizeY>256</BlockSizeY><BandsCount>3</BandsCount>
  <MaxConnections>2</MaxConnections><Timeout>30</Timeout><UserAgent>rooftop/{__version__}</UserAgent>
  <ZeroBlockHttpCodes>204,404</ZeroBlockHttpCodes>
</GDAL_WMS>"""
