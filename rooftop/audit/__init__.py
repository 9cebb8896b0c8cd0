"""Audit of a data set before training: broken, missing, duplicate and leaking pictures, wrong annotations."""

from rooftop.audit.audit import Split, audit_splits
from rooftop.audit.findings import KINDS, Finding, Findings
from rooftop.audit.fix import Shared, write_fixed
from rooftop.audit.pictures import Pairs
from rooftop.audit.report import summary, write_report

__all__ = [
    "KINDS",
    "Finding",
    "Findings",
    "Pairs",
    "Shared",
    "Split",
    "audit_splits",
    "summary",
    "write_fixed",
    "write_report",
]
