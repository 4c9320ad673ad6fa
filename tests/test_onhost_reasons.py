"""Why a release was not let in: journals and units of real refusals (systemd 252), shortened."""

import json

import pytest

from ops.onhost.journal import first_run, parse
from ops.onhost.reasons import raised, refusal
from ops.onhost.units import PROPERTIES
from ops.onhost.units import parse as parse_units


def own(text, priority=3, run="r1"):
    return {"MESSAGE": text, "PRIORITY": str(priority), "_SYSTEMD_INVOCATION_ID": run}


def told(text, priority=5, run="r1"):
    """By systemd itself, about a run."""
    return {"MESSAGE": text, "PRIORITY": str(priority), "INVOCATION_ID": run, "_SYSTEMD_INVOCATION_ID": "pid1"}


def unit(**properties):
    block = {"Id": "kpi-dashboard@x.service", "ActiveState": "failed", "LoadState": "loaded", **properties}
    return parse_units("\n".join(f"{name}={value}" for name, value in block.items())).of("x")


def why(*lines, said="Job for kpi-dashboard@x.service failed.", **properties):
    run = first_run(parse("\n".join(json.dumps(line) for line in lines)))
    return refusal(run, unit(**properties), said)


def test_its_own_words_come_first_with_page_file_and_line():
    found = why(
        own("release x starts", 5),
        own("REFUSED: page 'products' raised KeyError: 'revenue' (dashboard/pages/products.py line 12)"),
        own("Traceback (most recent call last):"),
        own('  File "/opt/kpi/releases/x/environment/lib/python3.11/site-packages/pandas/a.py", line 5, in f'),
        own('{"event": "self_check", "ok": false}'),
        told("kpi-dashboard@x.service: Main process exited, code=exited, status=78/CONFIG"),
    )
    assert found.lines[0] == "page 'products' raised KeyError: 'revenue' (dashboard/pages/products.py line 12)"
    assert len(found.lines) == 3
    assert (found.page, found.file, found.line) == ("products", "dashboard/pages/products.py", 12)


def test_without_a_place_in_the_first_line_it_is_the_innermost_of_our_own_files():
    found = why(
        own("REFUSED: it cannot start: ImportError: no"),
        own('  File "/opt/kpi/releases/x/dashboard/serve.py", line 7, in main'),
        own('  File "/opt/kpi/releases/x/dashboard/data.py", line 9, in load'),
        own('  File "/opt/kpi/releases/x/environment/lib/python3.11/site-packages/pandas/a.py", line 5, in f'),
    )
    assert (found.page, found.file, found.line) == (None, "dashboard/data.py", 9)


def test_the_first_run_counts_where_systemd_tried_again():
    found = why(
        own("REFUSED: page 'a' is wrong"),
        own("REFUSED: it crashed during its first start; not tried again", run="r2"),
    )
    assert found.lines == ("page 'a' is wrong",)


@pytest.mark.parametrize(
    ("exited", "result", "first"),
    [
        ("code=killed, status=9/KILL", "signal", "out of memory: the kernel ended it; its limit of 450 MB"),
        ("code=killed, status=9/KILL", "oom-kill", "out of memory: the kernel ended it; its limit of 450 MB"),
        ("code=killed, status=9/KILL", "timeout", "it was not ready within 1min, and was ended"),
        ("code=dumped, status=11/SEGV", "core-dump", "it was ended by signal 11"),
        ("code=exited, status=203/EXEC", "exit-code", "its program could not be run (status 203)"),
        ("code=exited, status=226/NAMESPACE", "exit-code", "its namespaces could not be set up (status 226)"),
        ("code=exited, status=1/FAILURE", "exit-code", "it ended with status 1: it gave no reason"),
    ],
)
def test_who_said_nothing_is_spoken_for_by_systemd(exited, result, first):
    found = why(
        told(f"kpi-dashboard@x.service: Main process exited, {exited}"),
        told(f"kpi-dashboard@x.service: Failed with result '{result}'.", 4),
        MemoryMax=450 * 1024 * 1024,
        TimeoutStartUSec="1min",
        Result="exec-condition",  # of the run after it
    )
    assert found.lines[0].startswith(first)


def test_a_line_that_the_unit_says_for_it_does_not_hide_what_systemd_knows():
    found = why(
        told("kpi-dashboard@x.service: Main process exited, code=killed, status=9/KILL"),
        told("kpi-dashboard@x.service: Failed with result 'oom-kill'."),
        own("REFUSED: it ended before it was ready: oom-kill (killed 9); its memory may be 450M"),
    )
    assert found.lines[0].startswith("out of memory")
    assert found.lines[1].startswith("it ended before it was ready")


def test_the_last_line_of_a_traceback_is_the_reason_of_who_ended_without_one():
    found = why(
        own("Traceback (most recent call last):", 6),
        own('  File "/opt/kpi/releases/x/dashboard/serve.py", line 66, in main', 6),
        own("ModuleNotFoundError: No module named 'nosuchmodule'", 6),
        told("kpi-dashboard@x.service: Main process exited, code=exited, status=1/FAILURE"),
    )
    assert found.lines[0] == "it ended with status 1: ModuleNotFoundError: No module named 'nosuchmodule'"
    assert (found.file, found.line) == ("dashboard/serve.py", 66)


def test_a_refusal_that_the_journal_did_not_take_is_read_from_what_systemd_was_told():
    said = "refused: page 'a' raised KeyError: 1 (dashboard/app.py line 3)"
    found = why(own("noise", 6), told("x: Main process exited, code=exited, status=78/CONFIG"), StatusText=said)
    assert found.lines == ("page 'a' raised KeyError: 1 (dashboard/app.py line 3)",)
    assert (found.page, found.file, found.line) == ("a", "dashboard/app.py", 3)


def test_who_ended_without_a_word_is_known_by_the_step_that_it_told_systemd():
    found = why(told("x: Main process exited, code=exited, status=78/CONFIG"), StatusText="page 'products'")
    assert found.lines[0] == "it ended with status 78, in page 'products': it gave no reason"
    assert found.page == "products"


def test_the_place_of_a_crash_is_the_innermost_line_of_ours_in_the_thread_that_crashed():
    found = why(
        own("Fatal Python error: Segmentation fault", 6),
        own("Thread 0x01 (most recent call first):", 6),
        own('  File "/opt/kpi/releases/x/dashboard/data.py", line 1 in wait', 6),
        own("Current thread 0x02 (most recent call first):", 6),
        own('  File "/opt/kpi/releases/x/environment/lib/python3.11/site-packages/a.py", line 5 in f', 6),
        own('  File "/opt/kpi/releases/x/dashboard/pages/products.py", line 42 in render', 6),
        own('  File "/opt/kpi/releases/x/dashboard/app.py", line 54 in main', 6),
        own("Thread 0x03 (most recent call first):", 6),
        own('  File "/opt/kpi/releases/x/dashboard/serve.py", line 159 in <module>', 6),
        told("x: Main process exited, code=killed, status=11/SEGV"),
    )
    assert found.lines[0] == "it was ended by signal 11"
    assert (found.file, found.line) == ("dashboard/pages/products.py", 42)


def test_the_newest_exception_that_was_written_down_is_found_with_its_place():
    lines = [
        own("2026-11-23 06:40:40.521 Uncaught app execution", 6),
        own("Traceback (most recent call last):", 6),
        own('  File "/opt/kpi/releases/x/dashboard/pages/products.py", line 44, in render', 6),
        own("KeyError: 'second'", 6),
        own("a line after it", 6),
    ]
    entries = parse("\n".join(json.dumps(line) for line in lines))
    assert raised(entries) == "KeyError: 'second' (dashboard/pages/products.py line 44)"
    assert raised(entries[:2]) is None
    assert raised([]) is None


def test_a_unit_that_systemd_cannot_use_is_named_as_such():
    found = why(told("x.service: Unknown key", 4), LoadState="bad-setting", LoadError="org.x 'Invalid argument'")
    assert found.lines[0] == "systemd cannot use its unit (bad-setting): org.x 'Invalid argument'"
    assert found.lines[1] == "x.service: Unknown key"


def test_where_nothing_is_known_the_words_of_systemctl_are_given():
    assert why().lines == ("Job for kpi-dashboard@x.service failed.",)
    assert why(said="").lines == ("it did not start, and nothing says why",)


def test_a_release_that_writes_without_end_does_not_flood_the_answer():
    assert len(why(own("REFUSED: much"), *(own(f"line {n}") for n in range(900))).lines) == 40


def test_messages_that_are_no_text_are_read_all_the_same():
    found = parse('{"MESSAGE": [82, 255], "PRIORITY": "3"}\nnot json\n[]\n{"MESSAGE": null}')
    assert [entry.text for entry in found] == ["R\ufffd", ""]


def test_units_are_read_as_systemctl_shows_them():
    shown = (
        "Id=kpi-dashboard.socket\nActiveState=active\nListen=[::]:8600 (Stream)\n\n"
        "Id=kpi-dashboard@a.1.service\nActiveState=activating\nSubState=auto-restart\nMainPID=7\n"
        "MemoryCurrent=[not set]\nMemoryMax=infinity\nJob=12\nExecMainCode=2\nExecMainStatus=9\n\n"
        "Id=kpi-dashboard-failed@a.service\nActiveState=active\n"
    )
    units = parse_units(shown)
    (one,) = units.instances
    assert (units.port, units.socket, one.instance, one.pid) == (8600, "active", "a.1", 7)
    assert (one.memory_bytes, one.memory_max_bytes, one.killed, one.exit_status) == (None, None, True, 9)
    assert one.lives
    assert len(set(PROPERTIES)) == len(PROPERTIES)
