"""When an incident begins and ends, within which bounds, and when many are one."""

from datetime import UTC, datetime, timedelta

import pytest

from ops.uptime.history import history_of
from ops.uptime.incidents import Incident, incidents
from ops.uptime.maintenance import Maintenance
from ops.uptime.probe import PHASES, Result, Verdict
from ops.uptime.record import Sample
from ops.uptime.rules import Rules

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
VERDICTS: dict[str, tuple[Verdict, int]] = {
    "u": ("up", 1),
    "r": ("up", 3),  # recovered
    "g": ("degraded", 1),
    "d": ("down", 1),
    "D": ("down", 3),  # all attempts failed
    "?": ("unknown", 1),
}


def moment(slot: int) -> datetime:
    return MIDNIGHT + timedelta(minutes=30 * slot)


def history(letters: str, by: str = "github") -> list[Sample]:
    """One sample each half hour; a space is a slot in which nobody looked."""
    found = []
    for slot, letter in enumerate(letters):
        if letter != " ":
            verdict, attempts = VERDICTS[letter]
            bad = verdict == "down"
            result = Result(
                verdict, "tcp" if bad else None, "refused" if bad else None, f"slot {slot}" if bad else None,
                dict.fromkeys(PHASES), attempts,
            )  # fmt: skip
            found.append(Sample(at=moment(slot), target="dashboard", by=by, run=None, result=result))
    return found


def found_in(samples: list[Sample], slots: int = 100, apart: tuple[Maintenance, ...] = ()) -> list[Incident]:
    return incidents(history_of(samples).tracks, now=moment(slots), rules=Rules(), maintenance=apart)


def slot(at: datetime | None) -> int | None:
    return None if at is None else (at - MIDNIGHT) // timedelta(minutes=30)


def bounds(incident: Incident) -> tuple[int | None, ...]:
    """Slots of the last good sample, the first and last bad ones, and the first good one."""
    return tuple(map(slot, (incident.last_good, incident.start, incident.last_bad, incident.first_good)))


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("uuuu", [], id="all is well"),
        pytest.param("uugg", [], id="degraded works"),
        pytest.param("uudu", [], id="one bad sample is no incident"),
        pytest.param("uuddu", [(1, 2, 3, None)], id="two in a row are, and one good one does not end it"),
        pytest.param("uudduu", [(1, 2, 3, 4)], id="two good ones end it, at the first of them"),
        pytest.param("uuDuu", [(1, 2, 2, 3)], id="one of which all attempts failed is enough"),
        pytest.param("uuDrg", [(1, 2, 2, 3)], id="recovered and degraded are good"),
        pytest.param("uududuu", [], id="bad ones that are not in a row"),
        pytest.param("uudduduu", [(1, 2, 5, 6)], id="one good one in between"),
        pytest.param("uud?duu", [(1, 2, 4, 5)], id="unknown is passed over: in a row all the same"),
        pytest.param("uudd?u?u", [(1, 2, 3, 5)], id="unknown does not end it, nor keeps it open"),
        pytest.param("uuD???", [(1, 2, 2, None)], id="unknown alone leaves it open"),
        pytest.param("DDuu", [(None, 0, 1, 2)], id="nothing good before"),
        pytest.param("uD", [(0, 1, 1, None)], id="it goes on"),
        pytest.param("uuD      uu", [(1, 2, 2, 9)], id="nobody looked for a while"),
        pytest.param("uDuuDuu", [(0, 1, 1, 2), (3, 4, 4, 5)], id="two of them"),
    ],
)
def test_an_incident_has_the_bounds_that_samples_give(letters: str, expected: list[tuple[int | None, ...]]):
    assert [bounds(incident) for incident in found_in(history(letters))] == expected


def test_its_length_is_a_lower_and_an_upper_bound():
    (incident,) = found_in(history("uuddduu"))
    assert (incident.min_s, incident.max_s) == (3600, 2 * 3600)


@pytest.mark.parametrize("letters", ["uuDD", "DDuu"])
def test_where_no_good_sample_bounds_it_there_is_no_upper_bound(letters: str):
    (incident,) = found_in(history(letters))
    assert (incident.min_s, incident.max_s) == (1800, None)


def test_it_is_told_by_its_first_bad_sample():
    (incident,) = found_in(history("uuddduu"))
    assert (incident.stage, incident.reason, incident.detail) == ("tcp", "refused", "slot 2")


def test_samples_after_now_are_not_known():
    assert [bounds(incident) for incident in found_in(history("uDDuu"), slots=2)] == [(0, 1, 2, None)]


@pytest.mark.parametrize(
    ("github", "host", "expected"),
    [
        pytest.param("uDDuu", "uuuuu", [], id="one of two sees it up"),
        pytest.param("uDDuu", "uDDuu", [(0, 1, 2, 3)], id="both see it down"),
        pytest.param("uDDuu", "u??uu", [(0, 1, 2, 3)], id="the other cannot tell"),
        pytest.param("uDDuu", "u    ", [(0, 2, 2, 3)], id="what the other saw holds for a while"),
        pytest.param("D", "u", [], id="at the same moment, whoever comes first"),
    ],
)
def test_with_two_vantage_points_it_is_down_only_where_both_say_so(
    github: str, host: str, expected: list[tuple[int | None, ...]]
):
    samples = [*history(github), *history(host, by="host")]
    assert [bounds(incident) for incident in found_in(samples)] == expected
    assert found_in(samples[::-1]) == found_in(samples)


def test_what_falls_into_maintenance_is_no_incident():
    apart = (Maintenance(moment(2), moment(4), "new disk"),)
    assert found_in(history("uuDDuu"), apart=apart) == []
    assert [bounds(incident) for incident in found_in(history("uuDDDu"), apart=apart)] == [(1, 4, 4, None)]


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        pytest.param("uuDuuDuu", [(1, 2, 2, 3, 0), (4, 5, 5, 6, 0)], id="four changes are two incidents"),
        pytest.param("uuDuuDuuDuu", [(1, 2, 8, 9, 6)], id="more than four within six hours are one"),
        pytest.param("uududuuduu", [(1, 2, 7, 8, 6)], id="though none of them would be an incident alone"),
        pytest.param(
            "uDu" + "u" * 13 + "DuuDuu", [(0, 1, 1, 2, 0), (15, 16, 16, 17, 0), (18, 19, 19, 20, 0)], id="not if apart"
        ),
        pytest.param("uuDuuDuuDDDDD", [(1, 2, 12, None, 5)], id="and goes on where it ends down"),
        pytest.param("uDDDDuuDuuDuu", [(0, 1, 10, 11, 6)], id="with what it touches"),
    ],
)
def test_many_changes_are_one_flapping_incident(letters: str, expected: list[tuple[int | None, ...]]):
    assert [(*bounds(incident), incident.changes) for incident in found_in(history(letters))] == expected
