# syntax=docker/dockerfile:1.7
# prefrontal with a CUDA build of torch, for the learner. torch brings CUDA's libraries; the host gives the driver
# and NVIDIA's container toolkit.
#
#   docker build --file docker/cuda.Dockerfile --tag prefrontal:cuda .
#   docker run --rm --gpus all prefrontal:cuda python -c 'import torch; print(torch.cuda.is_available())'
ARG PYTHON=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d
FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/prefrontal/bin:$PATH
WORKDIR /src
# The compiler of the kernels (models/kernels) stays in this stage.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/*
# The dependencies first: these layers stay while only the project's own code changes.
COPY pyproject.toml .ci/constraints.txt ./
RUN python -m venv /opt/prefrontal
RUN python -c 'import tomllib as t; print(*t.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > requirements.txt \
 && pip install --constraint constraints.txt --requirement requirements.txt
COPY . .
RUN pip install --no-deps .

FROM ${PYTHON}
LABEL org.opencontainers.image.title="prefrontal" org.opencontainers.image.licenses="MIT"
# A login shell sets PATH anew (KubeRay starts Ray in one).
RUN useradd --uid 1000 --create-home prefrontal \
 && install -d -o prefrontal -g prefrontal /home/prefrontal/runs \
 && echo "export PATH=/opt/prefrontal/bin:\$PATH" > /etc/profile.d/prefrontal.sh
COPY --from=build /opt/prefrontal /opt/prefrontal
# What `prefrontal` sets for its own processes, for those that `ray start` starts; no Ray without a token.
ENV PATH=/opt/prefrontal/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_VISIBLE_DEVICES=all \
    OMP_NUM_THREADS=1 \
    RAY_AUTH_MODE=token \
    RAY_IGNORE_UNHANDLED_ERRORS=1 \
    RAY_JOB_STOP_WAIT_TIME_S=60 \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_task_events_report_interval_ms=0 \
    RAY_worker_niceness=0
USER 1000:1000
# Runs go to runs/ below: mount a volume there.
WORKDIR /home/prefrontal
# A Ray node has to answer; anything else is well while it runs.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-c", "\
import psutil, urllib.request; \
any(p.name() == 'raylet' for p in psutil.process_iter()) \
and urllib.request.urlopen('http://127.0.0.1:52365/api/local_raylet_healthz', timeout=5)"]
CMD ["prefrontal", "--help"]
