"""Look at every target and record what was seen."""

import ipaddress
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from etl.errors import SettingsError
from ops.settings import ProbeSettings, TargetSettings
from ops.uptime import record
from ops.uptime.probe import (
    ELEMENTS,
    EXIT_CODES,
    WORST_FIRST,
    Result,
    Stage,
    Target,
    Wanted,
    parse_url,
    probe_patiently,
)
from ops.uptime.record import Sample
from ops.uptime.targets import DataTarget, HttpTarget, TcpTarget, attempts_for, tcp_address

_OURS_TOO: frozenset[Stage | None] = frozenset({"dns", "tcp", "tls"})  # stages at which our own network fails as well
_TOO_SLOW = frozenset({"timeout", "script_timeout"})
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Looking:
    """How a target is looked at.

    `look` visits it once within so many seconds; `control` says whether any control address answers; `sleep` waits
    between attempts, and `clock` counts the seconds. `kept_out` says of an address whether a door before it is shut.
    """

    look: Callable[[Target, float], Result]
    control: Callable[[], bool]
    sleep: Callable[[float], None]
    clock: Callable[[], float] = time.monotonic
    limits: ProbeSettings = field(default_factory=ProbeSettings)
    kept_out: Callable[[str], bool] = lambda _url: False


def check(
    targets: Sequence[Target], looking: Looking, *, now: datetime, run: str | None, directory: Path
) -> list[Sample]:
    """Look at all targets side by side and append a sample of each to `directory`; returns the samples.

    The control addresses are asked once at most. Raises KpiOpsError where nothing can be written.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(pool.map(lambda target: _seen(target, looking), targets))
    suspects = [asks_control(target.url, result) for target, (result, _) in zip(targets, seen, strict=True)]
    offline = any(suspects) and not looking.control()
    samples = [
        Sample(
            at=(now + began).replace(microsecond=0),
            target=target.name,
            by=target.by,
            run=run,
            result=decide(result, offline=suspect and (offline or looking.kept_out(target.url))),
        )
        for target, (result, began), suspect in zip(targets, seen, suspects, strict=True)
    ]
    record.append(directory, samples)
    return samples


def _seen(target: Target, looking: Looking) -> tuple[Result, timedelta]:
    """What was found, and how long after the first attempt the one began that decided: its moment is the sample's."""
    limits, first_s = looking.limits, looking.clock()
    began_s: list[float] = []

    def attempt(timeout_s: float) -> Result:
        began_s.append(looking.clock() - first_s)
        return looking.look(target, timeout_s)

    result = probe_patiently(
        attempt,
        attempts=attempts_for(target, len(limits.waits_s)),
        timeout_s=limits.timeout_s,
        sleep=looking.sleep,
        waits_s=limits.waits_s,
        total_s=limits.total_s,
    )
    return result, timedelta(seconds=began_s[-1])


def asks_control(url: str, result: Result) -> bool:
    """Whether a result may be our own network's fault: failed at dns, tcp, tls or by timeout, and not on loopback."""
    may_be_ours = result.stage in _OURS_TOO or result.reason in _TOO_SLOW
    return result.verdict == "down" and may_be_ours and not _is_loopback(urlsplit(url).hostname or "")


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
    return EXIT_CODES[next((verdict for verdict in WORST_FIRST if verdict in verdicts), "up")]


def line_of(sample: Sample) -> str:
    """A sample as a person is told."""
    result = sample.result
    why = ": ".join(filter(None, (result.stage, result.reason, result.detail)))
    return f"{sample.target}: {sample.verdict}{f' ({why})' if why else ''}"


def target_of(settings: TargetSettings, by: str, probe_token: str = "") -> Target:
    """A target as settings.toml names it. Raises SettingsError for elements that no page can be asked for.

    `probe_token`: what lets the probe in where people sign in. Raises SettingsError where a page needs it and it is
    missing, or could be read on its way; WrongSetting for an address that cannot be used.
    """
    strays = sorted(set(settings.min) - set(ELEMENTS))
    if strays:
        raise SettingsError(
            f"target {settings.name} wants {', '.join(strays)}",
            expected=f"min with some of {', '.join(ELEMENTS)}",
            to_do="mend [[uptime.targets]] in settings.toml",
        )
    wanted = Wanted(dict(settings.min), settings.text, settings.error_box)
    named = settings.name, settings.url, wanted, by
    if settings.kind == "data":
        return DataTarget(*named)
    if settings.kind == "tcp":
        tcp_address(settings.url)
        return TcpTarget(*named)
    parse_url(settings.url)
    if settings.signed_in:
        _check_key(settings, probe_token)
    if settings.kind == "http":
        return HttpTarget(*named, status=settings.status, fields=dict(settings.fields))
    return Target(*named, settings.pages, probe_token if settings.signed_in else "")


def _check_key(settings: TargetSettings, probe_token: str) -> None:
    address = parse_url(settings.url)
    if settings.kind != "page":
        wrong = f"is of the kind {settings.kind}, to which nobody signs in"
    elif not probe_token:
        wrong = "is looked at behind sign-in, but KPI_SIGN_IN__PROBE_TOKEN is empty"
    elif not (address.secure or _is_loopback(address.host)):
        wrong = "would be shown the probe's token over plain http, where others can read it"
    else:
        return
    raise SettingsError(
        f"target {settings.name} {wrong}",
        expected="signed_in only for a page by https, with the token in the environment",
        to_do="mend [[uptime.targets]] in settings.toml, or set KPI_SIGN_IN__PROBE_TOKEN: see docs/sign-in.md",
    )
