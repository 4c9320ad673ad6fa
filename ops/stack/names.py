"""What the stack's parts are called, for those who make them and those who look whether they are there. Pure."""

import re
from typing import Final

from ops.monitoring import Alarm
from ops.settings import Settings

GITHUB_HOST: Final = "token.actions.githubusercontent.com"
AUDIENCE: Final = "sts.amazonaws.com"
MANAGED_BY: Final = "kpi-ops"
HTTP_PORTS: Final = (80, 443)
SSM_POLICY: Final = "AmazonSSMManagedInstanceCore"


def tags(settings: Settings) -> dict[str, str]:
    """On everything that can be tagged."""
    stack = settings.stack
    return {"project": stack.project, "environment": stack.environment, "managed-by": MANAGED_BY}


def alarm(settings: Settings, made: Alarm) -> str:
    """project02-kpi-disk"""
    return f"{settings.stack.name}-{made.name}"


def topic(settings: Settings) -> str:
    """Where alarms are told."""
    return f"{settings.stack.name}-alarms"


def dashboard(settings: Settings) -> str:
    """CloudWatch's, not ours."""
    return settings.stack.name


def workflow_roles(settings: Settings) -> dict[str, tuple[str, str]]:
    """Logical id -> name of a role, and the environment of GitHub whose workflows may take it; none without GitHub."""
    name, github = settings.stack.name, settings.stack.github
    if not github.repository:
        return {}
    return {
        "EtlRole": (f"{name}-etl", github.etl_environment),
        "ProbeRole": (f"{name}-probe", github.probe_environment),
        "DeployRole": (f"{name}-deploy", github.deploy_environment),
    }


def subjects(settings: Settings, environment: str) -> list[str]:
    """How GitHub calls a job in that environment: the form by names, and the one that has the numbers too."""
    github = settings.stack.github
    owner, _, repository = github.repository.partition("/")
    forms = (f"repo:{owner}/{repository}", f"repo:{owner}@{github.owner_id}/{repository}@{github.repository_id}")
    return [f"{form}:environment:{environment}" for form in forms]


def public_ports(settings: Settings) -> tuple[int, ...]:
    """What viewers come in by: the TLS front where there is a domain, else the dashboard itself."""
    return HTTP_PORTS if settings.host.domain else (settings.dashboard.port,)


def logical(*words: str) -> str:
    """A logical id of CloudFormation: letters and digits, the same for the same words whatever else there is."""
    return "".join(re.sub("[^0-9A-Za-z]", "x", word[:1].upper() + word[1:]) for word in words)
