"""The form that asks a browser for a token: one page without a script, which posts to /login."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request

_STYLE = (
    ":root{color-scheme:light dark;--paper:#fff;--panel:#f5f6f8;--ink:#14181d;--soft:#56606c;--line:#d7dce2;--accent:#0a6b94;--loss:#b8452b}"
    "@media(prefers-color-scheme:dark){:root{--paper:#0f1317;--panel:#171c22;--ink:#e9edf1;--soft:#a3adb9;--line:#333d48;--accent:#5cb8e0;--loss:#f0866c}}"
    "*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;background:var(--panel);color:var(--ink);"
    'font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}'
    "main{width:100%;max-width:400px;background:var(--paper);border:1px solid var(--line);border-radius:14px;padding:32px}"
    "h1{margin:0 0 4px;font-size:26px;letter-spacing:-.01em;color:var(--accent)}p{margin:0 0 20px;color:var(--soft)}"
    "label{display:block;font-weight:600;margin-bottom:6px}input,button{width:100%;font:inherit;padding:11px 13px;border-radius:9px}"
    "input{border:1px solid var(--line);background:var(--paper);color:var(--ink)}"
    "button{margin-top:14px;border:0;background:var(--accent);color:var(--paper);font-weight:650;cursor:pointer}"
    ":focus-visible{outline:2px solid var(--accent);outline-offset:2px}code{font-size:.88em}.note{color:var(--loss);margin:14px 0 0}"
)
LOGIN_STYLE = "sha256-" + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
"""The only style that is not a file, by its hash, for the content security policy."""


def login_page(note: str = "") -> str:
    """Return the page; `note` says why the last token was refused."""
    said = f'<p class="note" role="alert">{escape(note)}</p>' if note else ""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>quantga</title><link rel="icon" href="data:,"><style>{_STYLE}</style></head><body><main>'
        "<h1>quantga</h1><p>This page shows a store of strategies to who has "
        'a token. <code>quantga token create</code> makes one.</p><form method="post" action="/login"><label for="token">Token</label>'
        '<input id="token" name="token" type="password" autocomplete="current-password" required autofocus spellcheck="false">'
        f"<button>Open</button>{said}</form></main></body></html>"
    )


async def token_of(request: Request, most: int) -> str:
    """Return the token that a form sends; empty where there is none or the body is longer than `most` bytes."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > most:
                return ""
    except ClientDisconnect:
        return ""
    fields = parse_qs(body.decode("ascii", "replace"), max_num_fields=4) if body.count(b"&") < 4 else {}
    return fields.get("token", [""])[0].strip()
