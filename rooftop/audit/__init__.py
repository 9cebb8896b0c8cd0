"""Look at a data set before spending time on it: broken, missing, duplicate, leaking."""

from rooftop.audit.findings import KINDS, Finding, Findings
from rooftop.audit.fix import write_fixed
from rooftop.audit.page import write_page
from rooftop.audit.report import report
from rooftop.audit.splits import Split, audit

__all__ = ["KINDS", "Finding", "Findings", "Split", "audit", "report", "write_fixed", "write_page"]
