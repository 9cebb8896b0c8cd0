"""All are counted, the gravest are kept."""

from rooftop.audit import Finding, Findings
from rooftop.audit.findings import LISTED


def test_many_findings_are_counted_and_the_gravest_kept():
    findings, other = Findings(), Findings()
    for i in range(5 * LISTED):
        (findings if i % 2 else other).add(Finding("wrong box", f"{i}.jpg", weight=float(i)))
    findings.merge(other)
    assert findings.count("wrong box") == 5 * LISTED
    assert len(findings.found["wrong box"]) < 2 * LISTED
    assert [finding.picture for finding in findings.worst("wrong box", 3)] == ["4999.jpg", "4998.jpg", "4997.jpg"]
    plain = findings.plain()["wrong box"]
    assert (plain["count"], len(plain["listed"]), plain["is_error"]) == (5 * LISTED, LISTED, False)
    assert findings.errors() == 0


def test_without_weights_the_first_stay_first():
    findings = Findings()
    for i in range(3 * LISTED):
        findings.add(Finding("leak", f"{i}.jpg"))
    assert findings.worst("leak", 1)[0].picture == "0.jpg"
    assert findings.errors() == 3 * LISTED
