"""Releases that are broken, on a real host under load: none is seen by anybody, and the reason is named."""

import pytest

from etl.errors import ExitCode
from tests.releases import BAD


@pytest.fixture(scope="module")
def shared(make_session_host, deployed_image, clone):
    from tests.deployed import Operator

    host = make_session_host(image=deployed_image)
    yield Operator(host, clone, gate={"timeout_s": 8})
    host.down()


@pytest.mark.parametrize("title", BAD)
def test_a_bad_release_is_refused_with_its_reason_and_the_old_one_serves_on(shared, title):
    change, named = BAD[title]
    before = shared.current()
    sha = shared.clone.release(title, change)
    code = shared.deploy(sha)
    assert code == ExitCode.CHECK_FAILED, shared.told
    assert named in shared.told
    status = shared.status()
    assert status["current"] == before
    assert [unit["release"] for unit in status["units"] if unit["active"] == "active"] == [before]
