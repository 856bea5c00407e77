"""The doctor finds what is wrong and says what to do about it."""

import os
import subprocess
import sys

import pytest

from moe_lite import doctor


def run(**environment) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "moe_lite.doctor"]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)


def test_healthy_installation_has_no_findings_to_mend():
    found = doctor.examine()
    assert [f.name for f in found if f.remedy] == []
    assert doctor.report(found).endswith("Everything is there.")


@pytest.mark.parametrize("word", ["python", "torch", "device", "threads", "memory", "corpora", "model"])
def test_report_covers(word):
    assert f"ok  {word:11} " in doctor.report(doctor.examine())


def test_missing_corpora_and_models_are_named_with_their_remedy_and_the_status_tells(tmp_path):
    done = run(MOE_LITE_DATA=str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "missing: shakespeare, french" in done.stdout and "python -m moe_lite.corpora" in done.stdout
    assert "git checkout data/checkpoints" in done.stdout
    assert "2 of 13 need attention" in done.stdout


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package"))
    report = doctor.report(doctor.examine())
    assert "!!  no-such-package not installed" in report and "pip install -c constraints.txt no-such-package" in report
