"""`python -m moe_lite.corpora`: fetch and build the corpora; what is already there and right is left alone."""

import argparse
import sys
from pathlib import Path

from moe_lite.corpora import BUILD, DOMAINS
from moe_lite.corpora.build import Report, build
from moe_lite.corpora.sources import DamagedFile

DATA = Path(__file__).resolve().parents[2] / "data"


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 also when sources could not be reached: the lessons run with the domains that are there."""
    parser = argparse.ArgumentParser(prog="python -m moe_lite.corpora", description=__doc__)
    parser.add_argument(
        "--data-dir", type=Path, default=DATA, help="the folder with sources.toml (default: %(default)s)"
    )
    data = parser.parse_args(arguments).data_dir
    try:
        report = build(data, say=lambda line: print(line, flush=True))
    except DamagedFile as error:
        print(f"The corpora were not changed: {error}", file=sys.stderr)
        return 1
    print(summary(report, data))
    return 0


def summary(report: Report, data: Path) -> str:
    """One line when all is there; otherwise what is missing, why, and the command that completes it."""
    if not report.missing:
        return f"corpora: all {len(DOMAINS)} domains are in {data / 'corpus'}"
    reasons = "\n".join(f"  {source}: {reason}" for source, reason in report.missing.items())
    return (
        f"\nNot all corpora could be downloaded (no network?). Missing: {', '.join(report.missing_domains())}.\n"
        f"{reasons}\n"
        f"The lessons run with {', '.join(report.kept + report.built)}. With a network, complete them with\n"
        f"  {BUILD}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
