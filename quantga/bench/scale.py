"""`quantga bench scale`: what a cluster of 8 to 4,096 cores would do with us, from times that are measured here and now.

Measured: a search, its breeding, Ray's price of a task, the store, the catalog. Assumed, and said so: how often spot machines vanish,
how long until one is replaced, the network, what a node costs. The simulation is `bench.fleet`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from quantga.bench.fleet import Driver, Fleet, Simulation, Story
from quantga.bench.scale_drivers import Campaign, Evolution, Facts, Size
from quantga.bench.scale_facts import measured
from quantga.errors import ConfigError

CORES = (8, 64, 256, 1024, 4096)
LARGE = Size(64, 512, 10, assets=20)
S3_PUTS = 3_500.0
"""Requests that write, a second and prefix, which S3 promises."""
NETWORK = 1.25e9
"""Bytes a second that leave the head: 10 Gbit/s."""


def measure(*, quick: bool, store: str, searches: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure, simulate a campaign of searches and one large search, and say which limit binds first."""
    facts = measured(quick=quick, store=store, say=say)
    return {"measured": asdict(facts), "assumed": assumed(), **simulated(facts, searches, say)}


def assumed() -> dict[str, Any]:
    """Return what nobody measured here."""
    fleet = asdict(Fleet(0))
    del fleet["cores"]
    return {**fleet, "s3_puts_per_second": S3_PUTS, "network_bytes_per_second": NETWORK}


def simulated(facts: Facts, searches: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Return both tables: the campaign of whole searches, and one search of 64 islands x 512 programs on 20 assets."""
    if min(facts.search, facts.appraise) <= 0:
        raise ConfigError("a search that takes no time needs no cluster")
    found: dict[str, Any] = {"searches": searches, "large_search": asdict(LARGE), "campaign": [], "evolution": []}
    for cores in CORES:
        say(f"simulating {cores:,} cores …")
        sent = facts.market_bytes * max(1, cores // Fleet.node_cores) / NETWORK
        fleet, wide = Fleet(cores, fetch_s=sent), Fleet(cores, fetch_s=LARGE.assets * sent)
        campaign = run(fleet, Campaign(facts, searches, cores, 1))
        found["campaign"].append(row(fleet, campaign, facts, puts=searches, generations=0))
        search = run(wide, Evolution(facts, LARGE, cores, 1))
        found["evolution"].append(row(wide, search, facts, 3 * LARGE.generations, LARGE.generations))
    found["binds_first"] = {name: binds_first(found[name]) for name in ("campaign", "evolution")}
    return found


def binds_first(rows: list[dict[str, Any]]) -> str:
    """Return which limit is used up first as cores are added, and from how many cores half of it is used."""
    name = rows[-1]["most_used"]
    half = next((one["cores"] for one in rows if one["limits"][name] > 0.5), None)
    return (
        f"{name}, half of it from {half:,} cores" if half else f"{name}, less than half of it up to {CORES[-1]:,} cores"
    )


def run(fleet: Fleet, driver: Driver, seed: int = 1) -> Story:
    """Return what a driver's work comes to on a fleet."""
    return Simulation(fleet, driver, seed).run()


def row(fleet: Fleet, story: Story, facts: Facts, puts: int, generations: int) -> dict[str, Any]:
    """Return a line of a table; `limits`: how much of each limit is used, 1 being all of it."""
    limits = {
        "driver": story.driver / story.wall,
        "object_store": min(1.0, fleet.fetch_s / story.wall),
        "s3_requests": puts / story.wall / S3_PUTS,
        "catalog": generations * facts.index / story.wall,
    }
    return {
        "cores": fleet.cores,
        "wall_seconds": story.wall,
        "utilisation": story.utilisation(fleet.cores),
        "usd": story.usd,
        "nodes_lost": story.losses,
        "work_lost": story.lost / (story.useful + story.lost),
        "driver_share": limits["driver"],
        "limits": limits,
        "most_used": max(limits, key=lambda name: limits[name]),
    }
