"""Access tokens: from a command, for a refresh token, or for the client itself (RFC 6749 §6, §4.4)."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from syncd.ports import AuthFailed, Transient


def secret_of(options: Mapping[str, Any]) -> Callable[[], str]:
    """The password, or where the next access token comes from: a command that prints one."""
    command = str(options.get("token-command") or "")
    password = str(options.get("password") or "")
    oauth = options.get("oauth")
    if command:
        return lambda: token_from(command)
    if oauth:
        return Tokens(oauth, password, options.get("ca")).current
    return lambda: password


def token_from(command: str) -> str:
    """The first line that the command prints. Raises AuthFailed."""
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, timeout=60, check=True, text=True)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise AuthFailed(f"the command for the access token failed ({type(error).__name__})") from None
    token = (done.stdout.splitlines() or [""])[0].strip()
    if not token:
        raise AuthFailed("the command for the access token printed nothing")
    return token


class Tokens:
    """Access tokens for a refresh token, or without one for the client itself; each is used until shortly
    before it runs out."""

    def __init__(self, oauth: Mapping[str, Any], refresh: str, ca: str | None) -> None:
        self._oauth, self._refresh, self._ca = oauth, refresh, ca
        self._token, self._until = "", 0.0

    def current(self) -> str:
        """A token that holds. Raises AuthFailed, Transient."""
        if time.monotonic() >= self._until:
            self._token, seconds = self._asked()
            self._until = time.monotonic() + max(seconds - 60, 0)
        return self._token

    def _asked(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials", "client_id": self._oauth["client-id"]}
        if self._refresh:
            form |= {"grant_type": "refresh_token", "refresh_token": self._refresh}
        form |= {"client_secret": self._oauth["client-secret"]} if self._oauth.get("client-secret") else {}
        form |= {"scope": self._oauth["scope"]} if self._oauth.get("scope") else {}
        url = urlsplit(self._oauth["token-url"])
        connection: http.client.HTTPConnection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=self._ca)
            connection = http.client.HTTPSConnection(url.hostname or "", url.port, timeout=30, context=context)
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
            connection.request("POST", url.path or "/", urlencode(form), headers)
            answer = connection.getresponse()
            body = answer.read(65536)
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"the server of access tokens does not answer ({type(error).__name__})") from None
        finally:
            connection.close()
        if answer.status >= 500 or answer.status == 429:
            raise Transient(f"the server of access tokens answers {answer.status}")
        try:
            said = json.loads(body)
            if answer.status == 200 and said.get("access_token"):
                return str(said["access_token"]), float(said.get("expires_in", 300))
            fault = str(said.get("error", ""))
        except (ValueError, AttributeError, TypeError):
            fault = ""
        word = fault if re.fullmatch(r"[a-z_]{3,40}", fault) else str(answer.status)
        raise AuthFailed(f"no access token is given ({word})")
