"""What the service does by itself: it looks whether the lake has grown, has it indexed, and opens the newer catalog.

Indexing copies the catalog, so it is done at most for a twentieth of the time, in the workshop's process; how a run goes is
read from the lake and waits for none of this.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from quantga.errors import QuantgaError
from quantga.service.service import Service
from quantga.service.workshop import index

_LOG = logging.getLogger(__name__)
NEAR_S = 2.0
FAR_S = 60.0
"""How often a folder and a bucket are looked at."""
_SHARE = 20.0


async def watch(service: Service) -> None:
    """Look for ever; a store that does not answer is asked again."""
    pause = NEAR_S if isinstance(service.lake.root, Path) else FAR_S
    indexed = -1e9
    took = 0.0
    while True:
        try:
            if time.monotonic() - indexed > _SHARE * took and await asyncio.to_thread(service.archive.behind):
                began = time.monotonic()
                await asyncio.to_thread(service.workshop.run, index, service.store)
                indexed = time.monotonic()
                took = indexed - began
            await asyncio.to_thread(service.archive.reopen)
            await asyncio.to_thread(service.archive.look_for_validations)
        except QuantgaError as error:
            _LOG.warning("the lake was not indexed: %s", error)
        except Exception as error:  # noqa: BLE001 (a watch that ended would leave readers with an old catalog for ever)
            _LOG.error("the lake was not indexed", exc_info=error)
        await asyncio.sleep(pause)
