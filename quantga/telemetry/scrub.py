"""The one scrubber: what leaves as a log line has no key, token, signature, address or order in clear.

Names of fields that hold secrets are known, and so are the forms of what must not leave; both are looked for in everything,
however deep it is. A digest of 64 hex digits looks like a private key, and is removed as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

REMOVED = "[removed]"
_FIELD = re.compile(
    r"secret|token|passw|passphrase|authorization|cookie|mnemonic|signature|private|credential|api_?key|^key$|^seed_?phrase$",
    re.IGNORECASE,
)
_FORMS = (
    (re.compile(r"qga_[0-9a-f]{8}_[A-Za-z0-9_-]{8,}"), "[token]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 [removed]"),
    (re.compile(r"(?<![0-9A-Za-z])(0x)?[0-9a-fA-F]{128,130}(?![0-9A-Za-z])"), "[signature]"),
    (re.compile(r"(?<![0-9A-Za-z])(0x)?[0-9a-fA-F]{64}(?![0-9A-Za-z])"), "[key]"),
    (re.compile(r"(?<![0-9A-Za-z])0x[0-9a-fA-F]{40}(?![0-9A-Za-z])"), "[address]"),
    (re.compile(r"(?<![0-9A-Za-z])0x[0-9a-fA-F]{32}(?![0-9A-Za-z])"), "[order]"),
    (re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"), "[aws key]"),
    (re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"), "[removed]"),
    (
        re.compile(
            r"(?i)((?:secret|token|passw\w*|passphrase|mnemonic|signature|private_?key|api_?key|cookie)[\"']?\s*[=:]\s*[\"']?)"
            r"[^\s\"',;&}\[]+"
        ),
        r"\1[removed]",
    ),
)


def scrub(text: str) -> str:
    """Return the text without anything that has the form of a secret, an address or an order's id."""
    for form, instead in _FORMS:
        text = form.sub(instead, text)
    return text


def scrubbed(value: object) -> object:
    """Return plain data without secrets: values under names that hold them, and texts, at any depth."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, bytes):
        return scrub(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {
            scrub(str(name)): REMOVED if _FIELD.search(str(name)) and one is not None else scrubbed(one)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [scrubbed(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else scrub(str(value))
