"""`python -m moe_lite.doctor`: each finding as soon as it is made; status 1 if something is wrong."""

import sys

from moe_lite.doctor import examinations, report, summary


def main() -> int:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a sign still gets the rest
    found = []
    for findings in examinations():
        found += findings
        for finding in findings:
            print(report([finding], end=False), flush=True)
    print(summary(found))
    return int(any(finding.remedy for finding in found))


if __name__ == "__main__":
    sys.exit(main())
