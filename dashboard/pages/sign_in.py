"""The door of the page: let a visitor in, ask to sign in, or say why not."""

from datetime import datetime

import streamlit as st

from dashboard import format as text
from dashboard.own_key import OWN_KEY
from dashboard.sign_in import Door, shows_key, standing
from ops.settings import SignInSettings


def may_see(rules: SignInSettings, now: datetime) -> bool:
    """Whether the visitor may see the page at this moment."""
    if not rules.on or shows_key(st.context.headers.get("Authorization"), OWN_KEY, rules.probe_token):
        return True
    return standing(st.user, rules, now).door is Door.OPEN


def admitted(rules: SignInSettings, title: str, now: datetime) -> bool:
    """Whether the visitor may see the page; if not, what to do about it is drawn."""
    if may_see(rules, now):
        return True
    found = standing(st.user, rules, now)
    st.title(title, anchor=False)
    if found.door is Door.SIGN_IN:
        st.info(found.words, icon=":material/lock:")
        st.button("Sign in", on_click=st.login, type="primary", icon=":material/login:")
    else:
        st.error(text.unmarked(found.words), icon=":material/block:")
        sign_out()
    return False


def sign_out() -> None:
    """The way out."""
    st.button("Sign out", on_click=st.logout, type="tertiary", icon=":material/logout:")


def signed_in(rules: SignInSettings) -> bool:
    """Whether the visitor is a person who signed in: the probe has nothing to sign out of."""
    return rules.on and st.user.get("is_logged_in") is True
