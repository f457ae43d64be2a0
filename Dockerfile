# One image for the driver, the workers, the feed and the paper exchange.
#   docker build -t quantga .
#   docker run --rm quantga --version
# On a cluster of Ray's own images: --build-arg BASE_IMAGE=rayproject/ray:2.60.0-py312 (then as the user `ray`).
ARG BASE_IMAGE=python:3.12.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/quantga
WORKDIR /src
COPY requirements.lock ./
# Compiled at install: every Ray process imports hundreds of modules.
RUN /opt/quantga/bin/pip install --require-hashes --no-deps --compile -r requirements.lock
COPY pyproject.toml README.md LICENSE CHANGELOG.md requirements-dev.lock ./
COPY .ci/locked .ci/locked
COPY quantga ./quantga
RUN for name in hatchling packaging pathspec pluggy trove-classifiers; do .ci/locked "$name" || exit 1; done > build.txt \
    && /opt/quantga/bin/pip install --require-hashes --no-deps -r build.txt \
    && /opt/quantga/bin/pip install --no-deps --no-build-isolation --compile . \
    && /opt/quantga/bin/pip uninstall --yes --quiet hatchling pathspec pluggy trove-classifiers

FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 quantga && useradd --create-home --home-dir /srv/quantga --uid 10001 --gid 10001 quantga \
    && install --directory --owner=quantga --group=quantga /state
COPY --from=build /opt/quantga /opt/quantga
COPY --chown=quantga:quantga jobs /srv/quantga/jobs
ENV PATH=/opt/quantga/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    QUANTGA_JIT_CACHE=/srv/quantga/.cache \
    RAY_USAGE_STATS_ENABLED=0
USER 10001:10001
WORKDIR /srv/quantga
# The compiled kernels are part of the image. They hold for processors like the builder's; on another kind they are made anew.
RUN quantga warm
# A machine of a Ray cluster is well if its Ray answers; anything else if the package loads.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
    CMD ["bash", "-c", "if [ -d /tmp/ray/session_latest ]; then ray health-check; else quantga --version; fi"]
ENTRYPOINT ["quantga"]
CMD ["--help"]
