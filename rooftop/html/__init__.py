"""HTML reports from Jinja2 templates; the only door to jinja2.

A report is one self-contained file: style sheet, charts and pictures are inlined, so it opens offline and can be
mailed. All pages share `templates/base.html` and `templates/style.css`. Autoescape is on for every template: names
read from a data set are text on the page, never markup.
"""

from __future__ import annotations

import math
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from rooftop.files import atomic_write

DASH = "–"  # stands for a score without a value


def render(template: str, **values: object) -> str:
    """Fill in a template of `rooftop/html/templates/`.

    Args:
        template: file name, such as "audit.html".
        **values: variables of the template; a missing one raises `jinja2.UndefinedError`.
    """
    return _ENVIRONMENT.get_template(template).render(values)


def write_page(path: Path, template: str, **values: object) -> None:
    """Fill in a template and write the page to `path` (atomic write).

    Args:
        path: of the HTML file.
        template: file name, such as "audit.html".
        **values: variables of the template.
    """
    with atomic_write(path) as part:
        part.write_text(render(template, **values), encoding="utf-8")


def number(value: float | None, digits: int = 3) -> str:
    """Format a score with `digits` decimals; None and NaN become a dash."""
    return DASH if value is None or math.isnan(value) else f"{value:.{digits}f}"


def interval(bounds: tuple[float, float] | None) -> str:
    """Format an interval as "low to high"; None and NaN become a dash."""
    return DASH if bounds is None or math.isnan(bounds[0]) else f"{number(bounds[0])} to {number(bounds[1])}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rooftop.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": number, "interval": interval}
    return environment


_ENVIRONMENT = _environment()
