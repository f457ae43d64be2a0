"""Somebody who trades the account by hand, beside its trader."""

from __future__ import annotations

import json
import time
from typing import Any

from hyperliquid.utils.signing import sign_l1_action


def act(venue: Any, key: Any, action: dict[str, Any]) -> dict[str, Any]:
    """Sign an action and send it; return the venue's answer."""
    nonce = time.time_ns() // 10**6 + 1_000
    signature = sign_l1_action(key, action, None, nonce, None, False)
    body = {"action": action, "nonce": nonce, "signature": signature, "vaultAddress": None, "expiresAfter": None}
    status, text = venue.raw("/exchange", json.dumps(body).encode())
    assert status == 200, text
    answer: dict[str, Any] = json.loads(text)
    assert answer["status"] == "ok", answer
    assert "error" not in text, answer
    return answer
