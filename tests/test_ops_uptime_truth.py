"""What we claim of our figures, on made-up histories whose truth is known; `make bench BENCH=truth` takes 1,000."""

from itertools import product
from random import Random

import pytest

from ops.uptime.record import Sample
from tests.bench.looks import ATTEMPTS_S, SCHEDULES, Look, looks
from tests.bench.outages import BEGIN_S, DAY, HOUR, KINDS, MINUTE, Spans, Truth, drawn, merged, within, without
from tests.bench.peers import gatus, kuma, upptime
from tests.bench.truth import WATCHED_BY, Judged, Outcome, Plan, case, hard, line_of, mean_errors, outcome, ratio, usual

ALL_FAIL = len(ATTEMPTS_S)


@pytest.fixture(scope="module")
def hard_ones() -> list[Outcome]:
    """Every kind of history, however it is looked at: with no fault that would widen the interval."""
    every = product(KINDS, WATCHED_BY, (60,), (0.0,))
    return [outcome(Plan(*plan, seed)) for seed, plan in enumerate(every)]


@pytest.fixture(scope="module")
def usual_ones() -> list[Outcome]:
    return [outcome(plan) for plan in usual(40)]


def test_the_true_uptime_lies_in_the_interval_that_is_printed(hard_ones: list[Outcome], usual_ones: list[Outcome]):
    outside = [each.plan for each in [*hard_ones, *usual_ones] for window in each.windows if not window.holds]
    assert outside == []


def test_the_agreed_worst_and_best_alone_would_not_hold_it(usual_ones: list[Outcome]):
    assert not all(window.in_worst_to_best for each in usual_ones for window in each.windows)


def test_outages_begin_and_end_within_the_bounds_of_their_incident(hard_ones: list[Outcome], usual_ones: list[Outcome]):
    found = [*hard_ones, *usual_ones]
    assert sum(each.incidents for each in found) > 300
    assert [each.plan for each in found if each.bounds_hold < each.incidents] == []


@pytest.mark.parametrize("window", ["7d", "30d", "90d"])
def test_where_one_run_in_a_hundred_is_at_fault_our_error_is_half_of_the_best_of_theirs(
    usual_ones: list[Outcome], window: str
):
    errors = mean_errors(each for one in usual_ones for each in one.windows if each.window == window)
    assert ratio(errors)[0] <= 0.5


# --- the made-up world -----------------------------------------------------------------------------------------------


def test_a_plan_gives_the_same_history_each_time_and_another_seed_another():
    plan, other = (Plan("usual", ("github",), 30, 0.01, seed) for seed in (1, 2))
    assert case(plan) == case(plan)
    assert case(plan).truth != case(other).truth


@pytest.mark.parametrize("kind", KINDS)
def test_a_history_is_spans_in_order_that_do_not_touch(kind: str):
    truth = drawn(Random(3), kind)
    assert list(truth.down) == merged(truth.down)
    assert truth.down_s(BEGIN_S, BEGIN_S + 90 * DAY) <= truth.promised_s(BEGIN_S, BEGIN_S + 90 * DAY)


def test_spans_can_be_cut_and_asked_for_a_second():
    spans = merged([(5, 9), (1, 3), (2, 4), (9, 10)])
    assert spans == [(1, 4), (5, 10)]
    assert within(spans, 3, 6) == [(3, 4), (5, 6)]
    assert without(spans, [(2, 3), (6, 12)]) == [(1, 2), (3, 4), (5, 6)]
    assert [second in Spans(spans) for second in (0, 1, 3, 4, 5)] == [False, True, True, False, True]
    assert (Spans(spans).around(7), Spans(spans).around(4)) == ((5, 10), None)


@pytest.mark.parametrize(
    ("cadence_min", "least_min", "most_min"), [(5, 15, 30), (20, 50, 75), (30, 55, 90), (60, 75, 105)]
)
def test_githubs_schedule_comes_as_seldom_as_people_measure(cadence_min: int, least_min: int, most_min: int):
    """Of 12 runs an hour 2 to 4 came; one of 20 minutes landed about every 60."""
    times_s = SCHEDULES["github"](Random(5), cadence_min * MINUTE)
    assert least_min * MINUTE < (times_s[-1] - times_s[0]) / len(times_s) < most_min * MINUTE


def test_a_look_sees_what_is_true_at_its_attempts():
    start_s = BEGIN_S + HOUR
    truth = Truth([(start_s + 3, start_s + ATTEMPTS_S[2])], [])
    seen = looks(Random(0), truth, [start_s + after_s for after_s in (0, 3, 4, ATTEMPTS_S[2])], 0.0)
    assert [look.failed for look in seen] == [0, 2, 2, 0]


def test_where_every_run_has_a_fault_none_is_called_down():
    found = looks(Random(0), Truth([], []), range(BEGIN_S, BEGIN_S + DAY, HOUR), 1.0)
    assert {line_of(look, "host").split(b'"verdict":"')[1][:2] for look in found} == {b"up", b"un"}


@pytest.mark.parametrize(
    ("look", "verdict", "attempts", "after_s"),
    [
        (Look(BEGIN_S, 0, (False, False)), "up", 1, 0),
        (Look(BEGIN_S, 2, (False, False)), "up", 3, ATTEMPTS_S[2]),
        (Look(BEGIN_S, ALL_FAIL, (False, False)), "down", 3, ATTEMPTS_S[2]),
        (Look(BEGIN_S, ALL_FAIL, (False, True)), "unknown", 3, ATTEMPTS_S[2]),
    ],
)
def test_a_look_is_the_line_that_the_product_reads(look: Look, verdict: str, attempts: int, after_s: int):
    sample = Sample.from_line(line_of(look, "github"))
    assert (sample.verdict, sample.result.attempts, sample.by) == (verdict, attempts, "github")
    assert sample.at.timestamp() == BEGIN_S + after_s


def test_the_hard_ones_are_of_every_kind():
    assert {plan.kind for plan in hard(280)} == set(KINDS)
    assert {plan.schedules for plan in hard(280)} == set(WATCHED_BY)


# --- the rules of the others -----------------------------------------------------------------------------------------

NOW_S = BEGIN_S + 60 * DAY


def seen(*runs: tuple[int, int], offline: bool = False) -> list[Look]:
    """Looks so many minutes before now, of which so many attempts failed."""
    return [Look(NOW_S - before * MINUTE, failed, (offline and failed > 0, False)) for before, failed in runs]


WORKED_CASE = seen(
    *((24 * 60 - minute, 0) for minute in range(0, 360, 30)),
    *((24 * 60 - minute, ALL_FAIL) for minute in (360, 390)),
    *((24 * 60 - minute, 0) for minute in [*range(420, 600, 30), *range(900, 1440, 30)]),
)


def test_in_the_worked_case_the_others_say_what_research_found():
    said = [gatus(WORKED_CASE, NOW_S), kuma(WORKED_CASE, [], NOW_S, 0), upptime(WORKED_CASE, [], NOW_S)]
    assert [round(rule("24h"), 5) for rule in said] == [0.94737, round(35 / 37, 5), 0.95833]


@pytest.mark.parametrize(
    ("failed", "retries", "up", "beats"),
    [
        ([0, 1, 0], 0, 2, 3),
        ([0, 1, 0], 2, 3, 4),  # PENDING counts as down
        ([0, ALL_FAIL, 0], 2, 2, 5),
        ([ALL_FAIL, ALL_FAIL, 1, 0], 2, 1, 6),  # what is down already is not tried again
    ],
)
def test_kuma_counts_beats(failed: list[int], retries: int, up: int, beats: int):
    runs = [(60 - 10 * place, each) for place, each in enumerate(failed)]
    assert kuma(seen(*runs), [], NOW_S, retries)("24h") == up / beats


def test_kuma_leaves_maintenance_out_and_gatus_does_not():
    runs = seen((30, 0), (20, ALL_FAIL), (10, 0))
    maintenance = [(NOW_S - 25 * MINUTE, NOW_S - 15 * MINUTE)]
    assert (kuma(runs, maintenance, NOW_S, 0)("24h"), gatus(runs, NOW_S)("24h")) == (1, 2 / 3)


def test_gatus_skips_what_it_cannot_see_and_has_no_ninety_days():
    assert gatus(seen((20, ALL_FAIL), (10, 0), offline=True), NOW_S)("24h") == 1
    assert gatus(WORKED_CASE, NOW_S)("90d") is None


@pytest.mark.parametrize(
    ("runs", "apart_min", "down_min"),
    [
        pytest.param([(60, 0), (50, 3), (30, 0)], [], 20, id="from the failing run to the next good one"),
        pytest.param([(60, 0), (50, 3), (40, 0)], [], 0, id="issues of less than 15 minutes are deleted"),
        pytest.param([(60, 0), (10, 3)], [], 10, id="one that is open counts up to now"),
        pytest.param([(60, 0), (50, 1), (30, 0)], [], 0, id="recovered is up"),
        pytest.param([(60, 3), (30, 0)], [(70, 40)], 0, id="none is opened in maintenance"),
        pytest.param([(60, 3), (30, 3), (5, 0)], [(70, 40)], 0, id="nor after it, while the status stays the same"),
    ],
)
def test_upptime_counts_the_time_that_issues_are_open(
    runs: list[tuple[int, int]], apart_min: list[tuple[int, int]], down_min: int
):
    apart = [(NOW_S - before * MINUTE, NOW_S - after * MINUTE) for before, after in apart_min]
    assert upptime(seen(*runs), apart, NOW_S)("24h") == pytest.approx(1 - down_min / (24 * 60))


def test_upptime_knows_no_more_than_a_hundred_issues():
    runs = [run for place in range(101) for run in ((5000 - 40 * place, 3), (5000 - 40 * place - 20, 0))]
    assert upptime(seen(*runs), [], NOW_S)("7d") == pytest.approx(1 - 100 * 20 / (7 * 24 * 60))


def test_errors_are_compared_where_we_and_they_give_a_figure():
    errors = ({"kpi-ops": 1.0, "Gatus": 3.0}, {"kpi-ops": 2.0, "Gatus": None}, {"kpi-ops": None, "Gatus": 9.0})
    windows = [Judged("24h", each, 1.0, holds=True, in_worst_to_best=True) for each in errors]
    assert mean_errors(windows) == {"kpi-ops": 1.5, "Gatus": 3.0}
    assert ratio(mean_errors(windows)) == (0.5, "Gatus")
