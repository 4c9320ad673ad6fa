"""What the schedule runs: look at every target, record what was seen, rewrite the report."""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from etl.errors import KpiOpsError, SettingsError
from etl.store import Patience, open_reader
from ops.checkup import checkup
from ops.render import write_whole
from ops.settings import DashboardSettings, FreshnessSettings, TargetSettings
from ops.shown import page_at
from ops.uptime import maintenance, record
from ops.uptime.probe import (
    DEFAULT_TIMEOUT_S,
    ELEMENTS,
    EXIT_CODES,
    WAITS_S,
    Result,
    Stage,
    Target,
    Verdict,
    Wanted,
    parse_url,
    probe_patiently,
)
from ops.uptime.record import Sample
from ops.uptime.report import as_markdown, report

_WORST_FIRST: tuple[Verdict, ...] = ("down", "unknown", "degraded", "up")
_OURS_TOO: frozenset[Stage | None] = frozenset({"dns", "tcp", "tls"})  # stages at which our own network fails as well
_TOO_SLOW = frozenset({"timeout", "script_timeout"})
PATIENCE = Patience(attempts=1, deadline_s=20)  # for the line on freshness: the schedule does not wait for it


def check(
    targets: Sequence[Target],
    *,
    now: datetime,
    run: str | None,
    cadence: timedelta,
    probe: Callable[[Target, float], Result],
    control: Callable[[], bool],
    sleep: Callable[[float], None],
    directory: Path,
    report_path: Path,
    freshness: str | None,
    attempts: int = len(WAITS_S),
) -> list[Sample]:
    """Probe every target, append a sample of each to `directory`, rewrite the report; returns the samples.

    `probe` visits a target once within so many seconds; `control` says whether any control address answers, and is
    asked at most once. Raises KpiOpsError where nothing can be written.
    """
    now = now.replace(microsecond=0)
    seen = [_seen(target, probe, sleep, attempts) for target in targets]
    suspects = [asks_control(target.url, result) for target, result in zip(targets, seen, strict=True)]
    offline = any(suspects) and not control()
    samples = [
        Sample(at=now, target=target.name, by=target.by, run=run, result=decide(result, offline=offline and suspect))
        for target, result, suspect in zip(targets, seen, suspects, strict=True)
    ]
    record.append(directory, samples)
    rewrite_report(directory, report_path, now=now, cadence=cadence, freshness=freshness)
    return samples


def _seen(
    target: Target, probe: Callable[[Target, float], Result], sleep: Callable[[float], None], attempts: int
) -> Result:
    return probe_patiently(
        lambda timeout_s: probe(target, timeout_s), attempts=attempts, timeout_s=DEFAULT_TIMEOUT_S, sleep=sleep
    )


def asks_control(url: str, result: Result) -> bool:
    """Whether a result may be our own network's fault: failed at dns, tcp, tls or by timeout, and not on loopback."""
    may_be_ours = result.stage in _OURS_TOO or result.reason in _TOO_SLOW
    return result.verdict == "down" and may_be_ours and not _is_loopback(parse_url(url).host)


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")


def decide(result: Result, *, offline: bool) -> Result:
    """The result to record: who cannot reach anything at all cannot say that the target is down."""
    return replace(result, verdict="unknown", reason="prober") if offline else result


def exit_code(samples: Iterable[Sample]) -> int:
    """The probe's exit status for the worst verdict: down, then unknown, then degraded, then up."""
    verdicts = {sample.verdict for sample in samples}
    return EXIT_CODES[next((verdict for verdict in _WORST_FIRST if verdict in verdicts), "up")]


def rewrite_report(
    directory: Path, report_path: Path, *, now: datetime, cadence: timedelta, freshness: str | None
) -> None:
    """Write the report on all samples of `directory`, whole or not at all. Raises KpiOpsError."""
    numbers = report(record.read(directory), now=now, cadence=cadence, maintenance=maintenance.read(directory))
    text = as_markdown(numbers, freshness=freshness)
    write_whole(report_path, text)


def freshness_line(
    store_address: str, *, now: datetime, limits: FreshnessSettings, patience: Patience = PATIENCE
) -> str:
    """The report's line about the published data: its age, its files, the page. It changes no uptime, no exit status.

    `store_address`: a directory or s3://bucket/prefix/. The line comes within the deadline of `patience` and says what
    cannot be told.
    """
    try:
        page = page_at(limits.dashboard, DashboardSettings().refresh_s)
        verdict = checkup(partial(open_reader, store_address), limits, now=now, page=page, patience=patience)
    except KpiOpsError as error:
        return f"freshness: cannot tell: {error.seen}"
    except Exception as error:  # noqa: BLE001 - a bug there is no reason to record no uptime
        return f"freshness: cannot tell: {error!r}"
    return f"freshness: {verdict.line}"


def target_of(settings: TargetSettings, by: str) -> Target:
    """A target as settings.toml names it. Raises SettingsError for elements that no page can be asked for."""
    strays = sorted(set(settings.min) - set(ELEMENTS))
    if strays:
        raise SettingsError(
            f"target {settings.name} wants {', '.join(strays)}",
            expected=f"min with some of {', '.join(ELEMENTS)}",
            to_do="mend [[uptime.targets]] in settings.toml",
        )
    parse_url(settings.url)
    return Target(settings.name, settings.url, Wanted(dict(settings.min), settings.text), by)
