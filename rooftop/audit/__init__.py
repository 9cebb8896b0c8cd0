"""Look at a data set before spending time on it: broken, missing, duplicate, leaking."""

from rooftop.audit.audit import Split, audit
from rooftop.audit.findings import KINDS, Finding, Findings
from rooftop.audit.fix import write_fixed
from rooftop.audit.report import report, write_page

__all__ = ["KINDS", "Finding", "Findings", "Split", "audit", "report", "write_fixed", "write_page"]
