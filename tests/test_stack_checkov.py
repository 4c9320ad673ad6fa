"""checkov's opinion of the template: what it still finds wrong is named here, with the reason; neither more nor fewer.

checkov has an environment of its own, .venv-checkov (it pins other versions than we do).
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from ops.stack.template import template
from tests.test_stack_template import FULL, inputs

CHECKOV = Path(__file__).resolve().parents[1] / ".venv-checkov" / "bin" / "checkov"
ENOUGH = 55  # checks that pass; far fewer would mean that it did not understand the template
LEFT = {
    ("CKV_AWS_18", "Bucket"): "access logs need a second bucket; who may read and write is decided by role and policy",
    ("CKV_AWS_26", "Topic"): "alarms cannot write to a topic with AWS's own key; one of ours costs a dollar a month",
    ("CKV_AWS_88", "Instance"): "people look at the dashboard from outside, so the host has a public address",
    ("CKV_AWS_158", "ChecksLog"): "encrypted at rest with CloudWatch's own key; one of ours costs a dollar a month",
    ("CKV_AWS_158", "DashboardLog"): "as ChecksLog",
    ("CKV_AWS_158", "SystemLog"): "as ChecksLog",
}
WEAKER = {  # a line of the template and a worse one: what checkov then finds besides
    "RestrictPublicBuckets: true": ("RestrictPublicBuckets: false", ("CKV_AWS_56", "Bucket")),
    "BlockPublicAcls: true": ("BlockPublicAcls: false", ("CKV_AWS_53", "Bucket")),
    "{Status: Enabled}": ("{Status: Suspended}", ("CKV_AWS_21", "Bucket")),
    '"203.0.113.7/32"': ("0.0.0.0/0", ("CKV_AWS_24", "Ssh203x0x113x7x32")),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """What checkov finds in the template and in a weaker one: by file name, who failed, and how many checks passed."""
    if not CHECKOV.exists():
        pytest.skip("there is no .venv-checkov/bin/checkov: make checkov")
    directory = tmp_path_factory.mktemp("checkov")
    text = weak = template(inputs(FULL))
    for line, (worse, _) in WEAKER.items():
        assert line in weak
        weak = weak.replace(line, worse)
    for name, written in (("stack.yaml", text), ("weak.yaml", weak)):
        (directory / name).write_text(written, "utf-8")
    return {name: _checked(directory / name) for name in ("stack.yaml", "weak.yaml")}


def _checked(path):
    """({(check, logical id)}, how many checks passed)."""
    words = ["--framework", "cloudformation", "--output", "json", "--compact", "--skip-download", "--file", str(path)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(path.parent), "NO_COLOR": "1"}
    done = subprocess.run(
        [CHECKOV, *words], cwd=path.parent, env=environment, check=False, capture_output=True, text=True, timeout=240
    )
    assert done.returncode in (0, 1), done.stderr
    told = json.loads(done.stdout)
    assert told["summary"]["parsing_errors"] == 0
    failed = told["results"]["failed_checks"]
    return {(check["check_id"], check["resource"].rpartition(".")[2]) for check in failed}, told["summary"]["passed"]


def test_checkov_finds_what_is_named_here_and_nothing_else(reports):
    failed, passed = reports["stack.yaml"]
    assert failed == set(LEFT)
    assert passed > ENOUGH


def test_checkov_finds_what_is_weakened(reports):
    failed, _ = reports["weak.yaml"]
    assert failed == set(LEFT) | {found for _, found in WEAKER.values()}
