import pytest

from etl.errors import StackError
from ops.stack.outputs import Outputs, keep, kept, log
from tests.scripted_cloudformation import (
    ARN,
    NAME,
    NOW,
    REGION,
)

STACK_ID = f"{ARN}/1"


def test_outputs_are_read_as_they_were_kept(tmp_path):
    told = Outputs(NAME, STACK_ID, "111122223333", REGION, {"InstanceId": "i-1"})
    keep(told, tmp_path / "deep" / "stack.json", NOW)
    assert kept(tmp_path / "deep" / "stack.json") == told


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"stack": 1}'])
def test_outputs_that_cannot_be_read_are_none(tmp_path, text):
    (tmp_path / "stack.json").write_text(text)
    assert kept(tmp_path / "stack.json") is None
    assert kept(tmp_path / "nowhere.json") is None


def test_a_place_that_cannot_be_written_to_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    told = Outputs(NAME, STACK_ID, "111122223333", REGION, {})
    with pytest.raises(StackError, match="cannot be written"):
        keep(told, tmp_path / "file" / "stack.json", NOW)
    with pytest.raises(StackError, match="cannot be written"):
        log(tmp_path / "file" / "stack.json", NOW, what="create")
