# ruff: noqa: INP001 (a script, not a package)
"""The service as an application of Ray Serve: `anyscale service deploy -f anyscale/service.yaml`.

Its tokens are in QUANTGA_STATE, which has to outlive the machine; QUANTGA_HOST is the name by which browsers call it.
"""

import os

from ray import serve

from quantga.service.app import create_app
from quantga.service.open import Place, open_service
from quantga.settings import Settings, state_folder

place = Place(host="0.0.0.0", port=443, allow_hosts=(os.environ["QUANTGA_HOST"],))  # noqa: S104 (behind Anyscale's door)


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 1})
@serve.ingress(lambda: create_app(open_service(Settings.load().store.path, state_folder(), place)))
class Service:
    """One replica: it writes an audit log."""


app = Service.bind()
