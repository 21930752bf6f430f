# CPU:   docker build --tag glossline .
# CUDA:  docker build --tag glossline:cuda --build-arg VARIANT=cuda .     docker run --gpus all -p 8000:8000 glossline:cuda
# Behind TLS, with PostgreSQL: compose.yaml.
ARG VARIANT=cpu

FROM python:3.11-slim-bookworm AS base-cpu

# This image has no Python of its own.
FROM nvidia/cuda:13.0.1-base-ubuntu24.04 AS base-cuda
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# What browsers need to find landmarks themselves, checked against the hashes of the lock file; without the networks that
# the page does not load.
FROM node:22-bookworm-slim AS page
WORKDIR /page
COPY app/web/npm/package.json app/web/npm/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund \
    && rm node_modules/@mediapipe/holistic/pose_landmark_heavy.tflite \
        node_modules/@mediapipe/holistic/pose_landmark_lite.tflite

# hadolint ignore=DL3006
FROM base-${VARIANT}
ARG VARIANT
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    VIRTUAL_ENV=/opt/venv \
    PATH=/opt/venv/bin:$PATH

# curl is for the health check.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/venv

WORKDIR /srv/glossline

# Packages first: they change less often than the code. What PyPI has of torch and torchvision brings CUDA along, so for
# the CPU both come from PyTorch's own index. ONNX Runtime, traces and Sentry are in the image, for the settings
# INFERENCE_BACKEND, OTEL_EXPORTER_OTLP_ENDPOINT and SENTRY_DSN. The headless OpenCV replaces the one with GUI support,
# which would need libGL and Qt from the system.
ARG CPU_WHEELS=https://download.pytorch.org/whl/cpu
COPY requirements*.txt constraints.txt ./
RUN if [ "$VARIANT" = cpu ]; then \
        python -m pip install --index-url "$CPU_WHEELS" --extra-index-url https://pypi.org/simple \
            "$(grep -E '^torch==' requirements.txt)+cpu" "$(grep -E '^torchvision==' requirements.txt)+cpu"; \
    fi \
    && python -m pip install -r requirements-train.txt -r requirements-onnx.txt -r requirements-otel.txt \
        -r requirements-sentry.txt \
    && python -m pip install --force-reinstall --no-deps "$(grep -E '^opencv-python-headless==' requirements.txt)" \
    && if [ "$VARIANT" = cpu ]; then \
        python -c "import torch, torchvision; assert torch.version.cuda is None, torch.version.cuda" \
        && ! python -m pip list --format=freeze | grep -iE '^(nvidia-(cu|nccl|nv)|triton|cuda-)'; \
    fi

COPY LICENSE README.md health_check.sh ./
COPY checkpoints checkpoints
COPY configs configs
COPY scripts/export_onnx.py scripts/export_report.py scripts/
COPY app app
COPY --from=page /page/node_modules app/web/npm/node_modules
# The folders are there before they become volumes, so that these belong to the user.
# The exports that INFERENCE_BACKEND=onnx reads are compared with the network as they are made.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin glossline \
    && python -m compileall -q app \
    && for id in asl-everyday asl-large; do python scripts/export_onnx.py "checkpoints/$id"; done \
    && mkdir data datasets runs \
    && chown glossline data datasets runs

# The embedded database and its secrets; corpora; training runs.
VOLUME ["/srv/glossline/data", "/srv/glossline/datasets", "/srv/glossline/runs"]
USER 10001
ARG REVISION=""
ENV HOST=0.0.0.0 \
    PORT=8000 \
    REVISION=$REVISION
LABEL org.opencontainers.image.title="Glossline" \
      org.opencontainers.image.description="Live captions for sign language: HTTP, WebSocket, Socket.IO and gRPC" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="$REVISION"
# HTTP, WebSocket and Socket.IO; gRPC where GRPC_PORT=50051 turns it on.
EXPOSE 8000 50051
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s --retries=3 CMD ["./health_check.sh"]
STOPSIGNAL SIGTERM
CMD ["python", "-m", "app", "serve"]
