"""Look at a release that has just begun to serve, again and again, as a person would."""

from ops.host.desk import Desk
from ops.host.tool import ask
from ops.words import plain

LOOK_EVERY_S = 5
LOOK_AGAIN_S = 1  # after a bad look: one or two alone may be the noise of a small machine under load
BAD_LOOKS = 3


def watched(desk: Desk, release: str) -> str:
    """What was wrong three times in a row within [host] watch_s; empty when nothing was, and when that is 0."""
    if not desk.settings.host.watch_s:
        return ""
    end = desk.clock() + desk.settings.host.watch_s
    bad = 0
    while True:
        look = ask(desk.remote, "look", release)
        bad = 0 if look.good else bad + 1
        if bad == BAD_LOOKS:
            return plain(str(look.said.get("reason") or "a look failed"))
        if not bad and desk.clock() >= end:
            return ""
        desk.sleep(LOOK_AGAIN_S if bad else LOOK_EVERY_S)
