"""The cluster on paper: it loses no work, wastes none where nothing vanishes, and agrees with real nodes."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from quantga.bench.fleet import Fleet, Simulation, Task, lognormal
from quantga.bench.scale import CORES, run, simulated
from quantga.bench.scale_drivers import Campaign, Evolution, Facts, Size
from quantga.streams import stream

FACTS = Facts(
    search=10.0,
    search_spread=0.3,
    appraise=0.005,
    batch_spread=0.2,
    breed=1e-4,
    task=5e-4,
    program=1e-5,
    null=4e-4,
    put=0.02,
    commit=0.06,
    index=0.1,
    market_bytes=1e6,
)
STILL = Fleet(32, loss_per_hour=0.0, fetch_s=0.0)
FREE = replace(FACTS, null=0.0, put=0.0)


def test_on_one_core_nothing_is_hidden():
    one = replace(STILL, cores=1)
    story = run(one, Campaign(FREE, 50, 1, 3))
    total = sum(lognormal(stream(3, "searches"), 10.0, 0.3, 50))
    assert story.wall == pytest.approx(total)
    assert story.utilisation(1) == pytest.approx(1.0)
    paid = run(one, Campaign(FACTS, 50, 1, 3))
    assert paid.wall == pytest.approx(total + 50 * FACTS.null + FACTS.put)


def test_the_law_has_the_mean_and_the_spread_that_were_asked_for():
    found = np.array(lognormal(stream(1, "law"), 10.0, 0.3, 200_000))
    assert found.mean() == pytest.approx(10.0, rel=0.01)
    assert found.std() / found.mean() == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("cores", [8, 100, 1024])
def test_all_work_is_done_once_whatever_vanishes(cores):
    total = sum(lognormal(stream(1, "searches"), 10.0, 0.3, 3000))
    calm = run(Fleet(cores, loss_per_hour=0.0), Campaign(FACTS, 3000, cores, 1))
    stormy = run(Fleet(cores, loss_per_hour=0.9999), Campaign(FACTS, 3000, cores, 1))
    for story in (calm, stormy):
        assert story.useful == pytest.approx(total)
        assert story.wall >= total / cores
    assert calm.losses == calm.lost == 0
    assert stormy.losses > 0
    assert stormy.wall > calm.wall
    again = run(Fleet(cores, loss_per_hour=0.9999), Campaign(FACTS, 3000, cores, 1))
    assert again == stormy


def test_a_search_asks_for_every_program_of_every_generation():
    asked: list[int] = []

    class Watched(Evolution):
        def _brood(self, island):
            sent = super()._brood(island)
            asked.extend(task.what % 1_000_000 for _, task in sent)
            return sent

    size = Size(4, 100, 7)
    story = run(STILL, Watched(FACTS, size, 32, 1))
    assert sum(asked) == 4 * 100 * 7
    assert story.driver == pytest.approx(
        4 * 100 * 7 * (FACTS.breed + FACTS.program) + len(asked) * FACTS.task + 7 * FACTS.commit
    )
    assert story.wall >= story.driver


def test_a_driver_that_is_slow_is_what_binds():
    slow = simulated(replace(FACTS, null=0.05), 2000, lambda _: None)
    assert slow["binds_first"]["campaign"].startswith("driver, half of it from 256")
    assert [row["cores"] for row in slow["campaign"]] == list(CORES)
    store = simulated(replace(FACTS, null=1e-9, market_bytes=1e11), 2000, lambda _: None)
    assert store["binds_first"]["campaign"].startswith("object_store")


def test_a_lost_task_is_sent_out_again_after_notice():
    class One:
        busy = 0.0

        def begin(self):
            return [(0.0, Task(100.0))]

        def back(self, task, now):
            return []

        def end(self):
            return 0.0

    fleet = Fleet(1, node_cores=1, loss_per_hour=0.9, replace_s=50.0, notice_s=5.0, fetch_s=0.0)
    stories = [Simulation(fleet, One(), seed).run() for seed in range(50)]
    hit = [story for story in stories if story.losses]
    assert hit
    assert all(story.wall == pytest.approx(100 + story.lost + 50 * story.losses) for story in hit)
    assert all(story.wall == 100 for story in stories if not story.losses)


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_real_nodes_take_as_long_as_those_on_paper(nodes, record_property):
    import ray
    from ray.cluster_utils import Cluster as Nodes

    from quantga.bench.scale_facts import _null_seconds
    from quantga.cluster.connect import connect
    from quantga.cluster.null_searches import in_order
    from quantga.settings import Cluster
    from quantga.store.null_library import NullSearch

    times = lognormal(stream(7, "searches"), 1.0, 0.3, 60)

    def sleeps(number):
        time.sleep(times[number] if number >= 0 else 0.5)
        return NullSearch(number, 1.0, "long", 1)

    cluster = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=2, object_store_memory=80 * 2**20)
        with connect(Cluster(address=cluster.address)) as cores:
            assert cores == 2 * nodes
            list(in_order(sleeps, (), [-1] * 2 * cores, cores, lambda _: None))  # all workers are up
            began = time.perf_counter()
            list(in_order(sleeps, (), range(60), cores, lambda _: None))
            real = time.perf_counter() - began
            facts = replace(FACTS, search=1.0, search_spread=0.3, null=_null_seconds(100), put=0.0)
    finally:
        ray.shutdown()
        cluster.shutdown()
    fleet = Fleet(cores, node_cores=2, loss_per_hour=0.0, fetch_s=0.0)
    paper = run(fleet, Campaign(facts, 60, cores, 7)).wall
    record_property("real_s", round(real, 2))
    record_property("paper_s", round(paper, 2))
    print(f"{nodes} nodes: real {real:.2f} s, on paper {paper:.2f} s")
    assert 0.95 < real / paper < 1.5
