"""`fab verify`: read the live account, judge it, tell what is not as it should be."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import TextIO

from etl.errors import ExitCode
from ops.posture import posture
from ops.posture.case import Case
from ops.posture.gather import gather
from ops.settings import Settings
from ops.stack import preflight
from ops.stack.desk import Clients
from ops.words import plain


def verify(
    settings: Settings, clients: Clients, now: Callable[[], datetime], stream: TextIO, *, as_json: bool = False
) -> ExitCode:
    """GOOD where every rule holds, CHECK_FAILED where one does not, COULD_NOT where one cannot be judged.

    Raises StackError where AWS cannot be asked at all, or it is another account than [stack] expected_account_id.
    """
    who = preflight.who(clients)
    if wrong := preflight.wrong_account(who, settings.stack.expected_account_id):
        raise wrong
    case = Case(settings, gather(clients, settings, who), now())
    findings = posture.judge(case)
    if as_json:
        print(json.dumps(posture.document(case, findings), indent=1), file=stream)
    else:
        print(f"{settings.stack.name} in account {who.account}, {who.region}, as {plain(who.arn)}", file=stream)
        for line in posture.lines(findings):
            print(plain(line), file=stream)
    return posture.code(findings)
