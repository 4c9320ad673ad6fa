"""Who may see the page: what an OIDC provider says of a visitor, held against [sign_in]. Pure.

Claims are those of OpenID Connect Core 1.0, sections 2 and 5.1.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from etl.errors import SettingsError
from ops.settings import SignInSettings

CALLBACK: Final = "/oauth2callback"
SHORTEST_SECRET: Final = 32
_DISCOVERY: Final = "/.well-known/openid-configuration"
_BEARER: Final = "Bearer "
_CLOCKS_DIFFER_S: Final = 300


class Door(Enum):
    """What a visitor finds."""

    OPEN = "open"
    SIGN_IN = "sign in"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Standing:
    """`words`: why a door is not open, for the visitor to read."""

    door: Door
    words: str = ""


def standing(claims: Mapping[str, object], rules: SignInSettings, now: datetime) -> Standing:
    """Where a visitor stands. `claims`: of the signed cookie, empty for who has none; `now` is aware."""
    if claims.get("is_logged_in") is not True:
        return Standing(Door.SIGN_IN, "Sign in to see this page.")
    issued_s = claims.get("iat")
    if not isinstance(issued_s, int | float) or isinstance(issued_s, bool):
        return Standing(Door.CLOSED, "The sign-in provider does not say when you signed in (`iat`).")
    age_s = now.timestamp() - issued_s
    if not -_CLOCKS_DIFFER_S <= age_s < rules.hours * 3600:
        return Standing(Door.SIGN_IN, "Your sign-in has ended. Sign in again to see this page.")
    words = _against(claims, rules)
    return Standing(Door.CLOSED, words) if words else Standing(Door.OPEN)


def _against(claims: Mapping[str, object], rules: SignInSettings) -> str:
    """What speaks against who has signed in; "" for nothing."""
    mail = claims.get("email")
    if not isinstance(mail, str) or mail.count("@") != 1:
        return "The sign-in provider does not tell your mail address (`email`)."
    if not _is_verified(claims, rules):
        return f"The sign-in provider has not verified that {mail} is yours."
    if mail.rpartition("@")[2].lower() not in {domain.lower() for domain in rules.mail_domains}:
        return f"{mail} may not see this page. Ask who runs it to let your mail domain in."
    return ""


def _is_verified(claims: Mapping[str, object], rules: SignInSettings) -> bool:
    said = claims.get("email_verified")
    return said is True or said == "true" or (said is None and rules.unsaid_is_verified)


def shows_key(authorization: str | None, *keys: str) -> bool:
    """Whether a header `Authorization: Bearer KEY` names one of the keys; an empty one is none."""
    shown = (authorization or "").removeprefix(_BEARER).encode()
    # All are compared, and each in the same time: how long the answer takes tells nothing of them.
    same = [hmac.compare_digest(shown, key.encode()) for key in keys if key]
    return (authorization or "").startswith(_BEARER) and any(same)


def bearer(key: str) -> str:
    """The header's value that `shows_key` reads."""
    return f"{_BEARER}{key}"


def secrets_toml(rules: SignInSettings) -> str:
    """What Streamlit reads as its secrets.toml. Raises SettingsError where a secret is missing or too short."""
    wrong = [
        *([] if rules.client_secret else ["KPI_SIGN_IN__CLIENT_SECRET is missing"]),
        *_too_short("KPI_SIGN_IN__COOKIE_SECRET", rules.cookie_secret, least=1),
        *_too_short("KPI_SIGN_IN__PROBE_TOKEN", rules.probe_token, least=0),
    ]
    if wrong:
        raise SettingsError(
            f"sign-in is on, but {'; '.join(wrong)}",
            expected=f"the client's secret, and a random cookie secret of {SHORTEST_SECRET} characters or more",
            to_do="write them to /etc/kpi-ops/secrets.env on the host, elsewhere into the environment",
        )
    auth = {
        "redirect_uri": rules.public_url.rstrip("/") + CALLBACK,
        "cookie_secret": rules.cookie_secret,
        "client_id": rules.client_id,
        "client_secret": rules.client_secret,
        "server_metadata_url": rules.issuer.rstrip("/") + _DISCOVERY,
    }
    # The settings allow no letter that JSON and TOML write differently.
    return "\n".join(["[auth]", *(f"{name} = {json.dumps(value)}" for name, value in auth.items()), ""])


def _too_short(name: str, secret: str, least: int) -> list[str]:
    if len(secret) < least:
        return [f"{name} is missing"]
    return [f"{name} has {len(secret)} characters"] if 0 < len(secret) < SHORTEST_SECRET else []
