# CUDA by default:  docker build -t glossline .            docker run --gpus all -p 8000:8000 glossline
# CPU only:         docker build -t glossline --build-arg BASE_IMAGE=python:3.11-slim-bookworm .
ARG BASE_IMAGE=nvidia/cuda:13.0.1-base-ubuntu24.04
# hadolint ignore=DL3006
FROM ${BASE_IMAGE}

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    VIRTUAL_ENV=/opt/venv \
    PATH=/opt/venv/bin:$PATH

# The CUDA base image has no Python, the Python base image has its own. curl is for the health check.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && if ! command -v python3 > /dev/null; then apt-get install -y --no-install-recommends python3 python3-venv; fi \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/venv

WORKDIR /srv/glossline

# Packages first: they change less often than the code. The headless OpenCV replaces the one with GUI support, which
# would need libGL and Qt from the system.
COPY requirements.txt requirements-train.txt constraints.txt ./
RUN python -m pip install -r requirements-train.txt \
    && python -m pip install --force-reinstall --no-deps "$(grep -E '^opencv-python-headless==' requirements.txt)"

COPY LICENSE README.md health_check.sh ./
COPY checkpoints checkpoints
COPY configs configs
COPY app app
# Mount volumes for the database, datasets and runs; otherwise they are lost with the container.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin glossline \
    && python -m compileall -q app \
    && mkdir data datasets runs \
    && chown glossline data datasets runs

USER 10001
ENV HOST=0.0.0.0 \
    PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["./health_check.sh"]
STOPSIGNAL SIGTERM
CMD ["python", "-m", "app", "serve"]
