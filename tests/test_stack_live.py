"""The live test's own logic, without an account: when it refuses, what it names things, that it always cleans up."""

import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from ops import settings as door
from ops.monitoring import LOG_GROUPS
from tests import live_stack
from tests.live_stack import (
    BUSY,
    ROOT,
    STEPS,
    TYPE,
    VARIABLE,
    WAIT_S,
    Fab,
    NotHere,
    account_meant,
    alone,
    environment,
    go,
    remove_bucket,
    throw_away,
    undone,
)

ACCOUNT = "111122223333"
SETTINGS = throw_away(ACCOUNT, "abc123")
NAME, BUCKET = SETTINGS["KPI_STACK__NAME"], SETTINGS["KPI_S3__BUCKET"]


def never():
    pytest.fail("AWS was asked")


@pytest.fixture
def s3(s3_endpoint, client_for):
    return client_for(s3_endpoint)


class Scripted:
    """A `fab` that ends as it should, but for one command; and what it was told."""

    def __init__(self, failing="", status=3):
        self.failing, self.status, self.told, self.steps = failing, status, [], list(STEPS)

    def __call__(self, *words):
        self.told.append(" ".join(words))
        if words[0] == self.failing:
            return self.status, "error: made up"
        if words[0] == "destroy":
            return 0, ""
        _, status, says = self.steps.pop(0)
        return status, says


# --- when it refuses


def test_without_an_account_named_nothing_is_asked():
    with pytest.raises(NotHere, match=f"{VARIABLE} must name the id"):
        account_meant({}, never)


def test_in_an_account_other_than_the_one_named_nothing_is_made():
    with pytest.raises(NotHere, match="names 999999999999, and the credentials are of account 111122223333"):
        account_meant({VARIABLE: "999999999999"}, lambda: ACCOUNT)
    assert account_meant({VARIABLE: ACCOUNT}, lambda: ACCOUNT) == ACCOUNT


class Logs:
    def __init__(self, *names):
        self.names = names

    def describe_log_groups(self, **fields):
        prefix = fields["logGroupNamePrefix"]
        return {"logGroups": [{"logGroupName": name} for name in self.names if name.startswith(prefix)]}


def test_in_a_region_that_has_a_stack_nothing_is_made():
    with pytest.raises(NotHere, match="so another stack"):
        alone(Logs(LOG_GROUPS[-1]))
    alone(Logs(f"{LOG_GROUPS[0]}-of-another", "/aws/lambda/x"))


def pytest_runs(*words, **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KPI_"))}
    line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *words]
    return subprocess.run(
        line, cwd=ROOT, env=kept | variables, check=False, capture_output=True, text=True, timeout=120
    )


def test_run_without_the_variable_it_fails_with_one_line():
    done = pytest_runs("tests/live_stack.py")
    assert done.returncode == 1
    assert f"{VARIABLE} must name the id" in done.stdout
    assert "nothing was made" in done.stdout
    assert "Traceback" not in done.stdout


def test_run_with_credentials_of_another_account_it_fails_with_one_line(s3_endpoint):
    aws = {"AWS_ENDPOINT_URL": s3_endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    done = pytest_runs("tests/live_stack.py", AWS_DEFAULT_REGION="us-east-1", **aws, **{VARIABLE: ACCOUNT})
    assert done.returncode == 1
    assert f"{VARIABLE} names {ACCOUNT}, and the credentials are of account 123456789012" in done.stdout
    assert "nothing was made" in done.stdout


def test_the_tests_that_make_test_runs_are_without_it(request):
    patterns = request.config.getini("python_files")
    assert not [pattern for pattern in patterns if fnmatch(Path(live_stack.__file__).name, pattern)]
    assert [pattern for pattern in patterns if fnmatch(Path(__file__).name, pattern)]


# --- what it runs with


def test_its_names_are_valid_settings_of_nothing_else(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    made = door.load()
    assert made.stack.expected_account_id == ACCOUNT
    assert {made.stack.name, made.stack.role, made.stack.security_group, made.host.name} == {NAME}
    assert made.s3.bucket == BUCKET == "kpi-ops-live-111122223333-abc123"
    assert len({made.stack.project, door.Settings.model_fields["stack"].default.project}) == 2


def test_of_the_persons_settings_only_the_instance_type_is_taken_over():
    environ = {
        "AWS_PROFILE": "mine",
        "KPI_STACK__NAME": "shop",
        "KPI_SETTINGS": "/x",
        VARIABLE: ACCOUNT,
        TYPE: "t3.micro",
    }
    made = environment(environ, SETTINGS)
    assert made["AWS_PROFILE"] == "mine"
    assert made["KPI_STACK__NAME"] == NAME
    assert made[TYPE] == "t3.micro"
    assert not {"KPI_SETTINGS", VARIABLE} & set(made)


def test_fab_is_run_in_a_directory_of_its_own_and_its_status_and_words_are_told(tmp_path, capfd):
    fab = Fab(tmp_path, environment(os.environ, SETTINGS))
    exited, said = fab("--list")
    assert exited == 0
    assert "provision" in said
    assert {words[0] for words, _, _ in STEPS} - {"verify"} <= set(said.split())
    assert said in capfd.readouterr().out
    assert fab("no-such-task")[0] == 1


# --- its steps, and its end


def test_it_plans_makes_makes_again_and_looks():
    fab = Scripted()
    go(fab)
    assert fab.told == ["provision --plan", "provision --yes", "provision --yes", "drift", "verify --json"]


@pytest.mark.parametrize("failing", sorted({words[0] for words, _, _ in STEPS}))
def test_a_step_that_fails_is_the_last_and_all_is_undone(s3, failing):
    fab = Scripted(failing)
    s3.create_bucket(Bucket=BUCKET)
    with pytest.raises(AssertionError, match="error: made up"), undone(fab, SETTINGS, s3):
        go(fab)
    assert fab.told[-2].startswith(failing)
    assert fab.told[-1] == f"destroy --name {NAME}"
    assert BUCKET not in names(s3)


def test_a_second_run_that_changes_something_fails():
    fab = Scripted()
    fab.steps[2] = ((), 0, "1 to change")
    with pytest.raises(AssertionError):
        go(fab)


def test_it_is_undone_too_when_it_is_interrupted(s3):
    fab = Scripted()
    with pytest.raises(KeyboardInterrupt), undone(fab, SETTINGS, s3):
        raise KeyboardInterrupt
    assert fab.told == [f"destroy --name {NAME}"]


def test_an_operation_that_goes_on_is_waited_for_before_it_is_undone(s3):
    answers, slept = [(1, f"refused: {BUSY}: {NAME} is CREATE_IN_PROGRESS"), (0, "")], []
    with undone(lambda *_words: answers.pop(0), SETTINGS, s3, slept.append):
        pass
    assert (answers, slept) == ([], [WAIT_S])


def test_what_could_not_be_undone_is_named(s3):
    fab = Scripted("destroy")
    with pytest.raises(pytest.fail.Exception, match=f"STILL THERE.*the stack {NAME}"), undone(fab, SETTINGS, s3):
        go(fab)


def test_the_bucket_goes_with_all_versions_and_markers(s3, new_bucket):
    bucket = new_bucket().bucket
    for number in range(3):
        s3.put_object(Bucket=bucket, Key="processed/metadata.json", Body=b"%d" % number)
    s3.delete_object(Bucket=bucket, Key="processed/metadata.json")
    remove_bucket(s3, bucket)
    assert bucket not in names(s3)
    remove_bucket(s3, bucket)


def names(s3):
    return {said["Name"] for said in s3.list_buckets()["Buckets"]}
