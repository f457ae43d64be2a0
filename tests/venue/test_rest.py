"""The wire over bad networks: answers in pieces, cut, endless, slow, redirected, and none of it taken for an answer."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from quantga.errors import Unknown
from quantga.venue.hyperliquid import rest
from quantga.venue.hyperliquid.rest import Rest
from quantga.venue.protocol import Priority
from quantga.venue.wire import Ask

ASK = Ask("market", "meta", b'{"type":"meta"}', Priority.DATA, 20)
DATE = b"Date: Sun, 22 Nov 2026 18:00:01 GMT\r\n"


@contextlib.asynccontextmanager
async def serving(*pieces: bytes, pause: float = 0.0, hold: bool = False):
    """Serve one answer in pieces to every connection; give the address and the requests that came."""
    came, over, tasks = [], asyncio.Event(), []

    async def serve(reader, writer):
        tasks.append(asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            came.append(head + await reader.readexactly(length))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            if hold:
                await over.wait()
        except ConnectionError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", came
    finally:
        server.close()
        over.set()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(body: bytes, status: bytes = b"200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, DATE, size, body)


async def test_an_answer_in_pieces_is_whole():
    body = bytes(range(256)) * 2_000
    whole = answer(body)
    pieces = [whole[at : at + 100_000] for at in range(0, len(whole), 100_000)]
    async with serving(*pieces, pause=0.02) as (url, came), Rest(url) as wire:
        reply = await wire.send(ASK)
    assert (reply.status, reply.body, reply.date) == (200, body, 1_795_370_401_000)
    assert came[0].startswith(b"POST /info ")
    assert came[0].endswith(ASK.body)


async def test_actions_go_elsewhere():
    async with serving(answer(b"{}")) as (url, came), Rest(url + "/") as wire:
        await wire.send(Ask("exchange", "noop", b"{}", Priority.RISK, 1))
    assert came[0].startswith(b"POST /exchange ")


@pytest.mark.parametrize(
    "pieces",
    [(), (b"HTTP/1.1 200 OK\r\n",), (answer(b"[1,2", length=100),), (b"nonsense\r\n\r\n",), (b"\x00" * 100,)],
)
async def test_half_an_answer_is_none(pieces):
    async with serving(*pieces) as (url, _), Rest(url) as wire:
        with pytest.raises(Unknown, match="did not answer"):
            await wire.send(ASK)


async def test_a_silent_venue_is_given_up_in_time():
    async with serving(hold=True) as (url, _), Rest(url, timeout=0.2) as wire:
        with pytest.raises(Unknown, match=r"no answer in time|imeout"):
            await wire.send(ASK)


async def test_an_endless_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(rest, "_LONGEST", 10_000)
    async with serving(answer(b"x" * 50_000)) as (url, _), Rest(url) as wire:
        with pytest.raises(Unknown, match="sent more than 10000 bytes"):
            await wire.send(ASK)


async def test_a_redirect_is_not_followed():
    moved = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/info\r\nContent-Length: 0\r\n\r\n"
    async with serving(moved) as (url, came), Rest(url) as wire:
        reply = await wire.send(ASK)
    assert (reply.status, reply.date) == (307, 0)
    assert len(came) == 1
