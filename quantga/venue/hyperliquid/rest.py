"""HTTP to the venue: one POST, one answer or `Unknown`, always with a time limit.

Nothing is tried again here: whether a second try is safe is known only to the caller.
"""

from __future__ import annotations

import asyncio
import email.utils
from types import TracebackType
from typing import Self

import aiohttp

from quantga.errors import ConfigError, Unknown
from quantga.venue.protocol import Network
from quantga.venue.wire import Ask, Reply

URLS = {
    Network.MAINNET: "https://api.hyperliquid.xyz",
    Network.TESTNET: "https://api.hyperliquid-testnet.xyz",
    Network.PAPER: "http://127.0.0.1:8100",
}
"""Where each network is, unless told otherwise."""
_LONGEST = 64 << 20
_HEADERS = {"Content-Type": "application/json"}


class Rest:
    """A wire that leaves from this process, without a budget. Use as an async context manager."""

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        """`url` without a trailing slash; `timeout` in seconds for a whole request.

        Raises:
            ConfigError: `url` is no http address.
        """
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"{url!r} is no address of a venue: give it as http://127.0.0.1:8100")
        self.url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(5.0, timeout))
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # No limit on connections: an action must not queue behind downloads for a free one.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout, headers=_HEADERS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, ask: Ask) -> Reply:
        """Send one request.

        Raises:
            Unknown: no whole answer came in time; an action may have been executed all the same.
        """
        assert self._session is not None, "used outside `async with`"
        path = "/exchange" if ask.endpoint == "exchange" else "/info"
        try:
            async with self._session.post(self.url + path, data=ask.body, allow_redirects=False) as answer:
                body = await self._whole(answer)
                return Reply(answer.status, body, _date(answer.headers.get("Date", "")))
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            raise Unknown(f"{self.url} did not answer ({_reason(error)})") from error

    async def _whole(self, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for part in answer.content.iter_any():  # one read gives what has arrived, not the whole
            body += part
            if len(body) > _LONGEST:
                raise Unknown(f"{self.url} sent more than {_LONGEST} bytes")
        return bytes(body)


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _date(text: str) -> int:
    try:
        return round(email.utils.parsedate_to_datetime(text).timestamp() * 1000)
    except (ValueError, TypeError):
        return 0
