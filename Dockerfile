# The image of tradefleet: the service and what it needs, each dependency by its hash, run by nobody
# in particular. `scripts/container_steps.py` does the same by hand where no container engine is.

# For a build that repeats exactly, name the image by its digest: --build-arg PYTHON_IMAGE=python@sha256:…
ARG PYTHON_IMAGE=python:3.11-slim-trixie

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
# Two environments: what builds stays here, what runs has not even pip.
RUN python -m venv /build/tools && \
    python -m venv --without-pip /opt/tradefleet
COPY requirements/runtime.txt requirements/dev.txt requirements/
# Wheels only: nothing that is installed runs code of its own, and no compiler is needed.
RUN /build/tools/bin/pip --python /opt/tradefleet/bin/python install \
    --require-hashes --only-binary :all: --requirement requirements/runtime.txt
# The builder of our own package is pinned where developers' tools are.
RUN sed -n '/^setuptools==/,/[^\\]$/p' requirements/dev.txt > builder.txt && \
    /build/tools/bin/pip install --require-hashes --only-binary :all: --requirement builder.txt
COPY pyproject.toml LICENSE ./
COPY src src
RUN /build/tools/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir wheels . && \
    /build/tools/bin/pip --python /opt/tradefleet/bin/python install --no-index --no-deps wheels/*.whl

FROM ${PYTHON_IMAGE}
# Production unless said otherwise: it does not start without ENCRYPTION_KEY and JWT_SECRET.
ENV PATH=/opt/tradefleet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/tradefleet \
    DATA_DIR=/var/lib/tradefleet \
    HTTP_HOST=0.0.0.0 \
    HTTP_PORT=8080 \
    LOG_FILE="" \
    ENVIRONMENT=production
# Backups of PostgreSQL are made by pg_dump, which must be no older than the server.
RUN apt-get update && \
    apt-get install --yes --no-install-recommends postgresql-client-17 && \
    rm -rf /var/lib/apt/lists/*
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/tradefleet /var/lib/tradefleet/backups
COPY --from=build /opt/tradefleet /opt/tradefleet
# A number and no name: orchestrators can see that it is not root.
USER 10001:10001
WORKDIR /var/lib/tradefleet
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"HTTP_PORT\"]}/health', timeout=4)"]
CMD ["tradefleet", "serve"]
