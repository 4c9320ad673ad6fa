"""What AWS would refuse of the settings, or take for something else than is meant: found before it is asked. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from ops.settings import Settings
from ops.stack import names

SSH_PORT: Final = 22
ROLE_NAME_LETTERS: Final = 64
PLAIN: Final = r"[A-Za-z0-9!_.'()/=+@-]*"  # in a policy * and ? stand for other letters, and ${ for a variable


def refused(settings: Settings) -> list[str]:
    """What is wrong with settings of which each is well formed by itself; [] where nothing is."""
    return list(_refused(settings))


def _refused(settings: Settings) -> Iterator[str]:
    stack, prefix = settings.stack, settings.s3.prefix
    if not re.fullmatch(PLAIN, prefix):
        yield f"[s3] prefix = {prefix!r}: rights cannot be limited to it; letters, digits and !_.'()/=+@- are expected"
    if stack.security_group.startswith("sg-"):
        yield f"[stack] security_group = {stack.security_group!r}: names that begin with sg- are AWS's own"
    if settings.dashboard.port in (0, SSH_PORT):
        yield f"[dashboard] port = {settings.dashboard.port}: a port of its own is expected, and {SSH_PORT} is SSH's"
    for name, _ in names.workflow_roles(settings).values():
        if len(name) > ROLE_NAME_LETTERS:
            yield f"[stack] name = {stack.name!r}: too long, the role {name} would have {len(name)} letters"
