"""Ray's provider of nodes that are processes, for `grown.py`: it takes a type's memory for a resource of the user's own."""

from __future__ import annotations

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider


class Nodes(FakeMultiNodeProvider):
    """Leaves a node's memory to be found by the node; the autoscaler plans with what the type says."""

    def create_node_with_resources_and_labels(self, node_config, tags, count, resources, labels):
        own = {name: amount for name, amount in resources.items() if name != "memory"}
        super().create_node_with_resources_and_labels(node_config, tags, count, own, labels)
