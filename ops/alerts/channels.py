"""The channels that settings switch on."""

from collections.abc import Sequence
from dataclasses import dataclass

from ops.alerts.issues import IssuesChannel
from ops.alerts.send import Channel
from ops.alerts.sns import Topic
from ops.alerts.webhook import Webhook
from ops.settings import AlertSettings

PUBLIC_API = "https://api.github.com"


@dataclass(frozen=True, slots=True)
class Switched:
    """The channels that are on and can be used, and a line for each that cannot."""

    on: Sequence[Channel]
    lines: Sequence[str]


def channels(alerts: AlertSettings, *, api: str, repository: str, token: str) -> Switched:
    """The channels of the settings.

    `api`, `repository`, `token`: what GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_TOKEN say, or nothing; the
    repository that settings name goes before.
    """
    on: list[Channel] = []
    lines = []
    where = alerts.repository or repository
    if alerts.github and token and where:
        on.append(IssuesChannel(api or PUBLIC_API, where, token, alerts.labels, alerts.assignees))
    elif alerts.github:
        missing = "GITHUB_TOKEN is not set" if where else "no repository is named: [alerts] repository"
        lines.append(f"github: {missing}; nobody is told there")
    on += [Webhook(alerts.webhook)] if alerts.webhook else []
    on += [Topic(alerts.sns_topic)] if alerts.sns_topic else []
    return Switched(on, lines)
