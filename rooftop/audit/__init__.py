"""Look at a data set before spending time on it: broken, missing, duplicate, leaking."""

from rooftop.audit.audit import Split, audit_splits
from rooftop.audit.findings import KINDS, Finding, Findings
from rooftop.audit.fix import write_fixed
from rooftop.audit.report import summary, write_report

__all__ = ["KINDS", "Finding", "Findings", "Split", "audit_splits", "summary", "write_fixed", "write_report"]
