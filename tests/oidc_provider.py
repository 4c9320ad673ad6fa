"""An OpenID provider for tests: a real HTTP server on loopback that signs in whoever it is told to, without a question.

Authorization code flow with PKCE (RFC 7636), tokens signed with RS256. `person`: the claims of who is at the keyboard,
None for one who says no. What a client asks wrongly is answered 400 and kept in `wrong`.
"""

import base64
import hashlib
import http.server
import json
import secrets
import threading
import time
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID = "kpi-page"
CLIENT_SECRET = "known-to-the-client-and-its-provider"


class Provider(http.server.ThreadingHTTPServer):
    """`with Provider() as provider:` serves at `provider.issuer` until the block ends."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.key = RSAKey.generate_key(2048, {"kid": "test", "use": "sig", "alg": "RS256"})
        self.person = {"sub": "1", "email": "ann@example.com", "email_verified": True}
        self.signed_in_s = None  # when the person signed in; None: now
        self.codes = {}
        self.wrong = []
        self.signed_out = 0

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def metadata(self):
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/leave",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def id_token(self, nonce):
        issued_s = int(self.signed_in_s or time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": issued_s,
            "exp": int(time.time()) + 3600,
            "nonce": nonce,
            **self.person,
        }
        return jwt.encode({"alg": "RS256", "kid": "test"}, claims, self.key)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self):
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match parts.path:
            case "/.well-known/openid-configuration":
                self._json(self.server.metadata())
            case "/keys":
                self._json({"keys": [self.server.key.as_dict(private=False)]})
            case "/authorize":
                self._authorize(asked)
            case "/leave":
                self.server.signed_out += 1
                self._to(asked["post_logout_redirect_uri"])
            case _:
                self._wrong(f"GET {self.path}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        granted = self.server.codes.pop(asked.get("code"), None)
        if self.path != "/token" or granted is None:
            self._wrong(f"POST {self.path} {body}")
            return
        challenge = base64.urlsafe_b64encode(hashlib.sha256(asked.get("code_verifier", "").encode()).digest())
        named = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if self.headers["Authorization"] != f"Basic {named}":
            self._wrong("the client is another")
        elif challenge.rstrip(b"=").decode() != granted["code_challenge"]:
            self._wrong("the code's verifier is another")
        elif asked.get("redirect_uri") != granted["redirect_uri"]:
            self._wrong("the address is another")
        else:
            token = self.server.id_token(granted["nonce"])
            self._json({"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "id_token": token})

    def _authorize(self, asked):
        needed = {"client_id", "redirect_uri", "state", "nonce", "code_challenge", "code_challenge_method"}
        if needed - set(asked) or asked["client_id"] != CLIENT_ID or "openid" not in asked["scope"].split():
            self._wrong(f"authorize {asked}")
            return
        told = {"state": asked["state"]}
        if self.server.person is None:
            told["error"] = "access_denied"
        else:
            told["code"] = secrets.token_urlsafe()
            self.server.codes[told["code"]] = asked
        self._to(f"{asked['redirect_uri']}?{urlencode(told)}")

    def _to(self, address):
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _wrong(self, why):
        self.server.wrong.append(why)
        self.send_error(400, "not so")

    def log_message(self, *_):
        """Say nothing."""
