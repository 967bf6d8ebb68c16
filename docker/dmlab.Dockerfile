# syntax=docker/dockerfile:1.7
# prefrontal on CPUs with DeepMind Lab: workers whose actors play its levels. Build the wheel of deepmind_lab from its
# source and put it into dist/; PYTHON is an image of the Python that it was built for (cp311 in its name: 3.11).
#
#   docker build --file docker/dmlab.Dockerfile --tag prefrontal:dmlab \
#     --build-arg WHEEL=dist/deepmind_lab-1.0-cp311-cp311-manylinux2014_x86_64.whl .
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
RUN pip install --no-deps --index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' constraints.txt)"
RUN python -c 'import tomllib as t; print(*t.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > requirements.txt \
 && pip install --constraint constraints.txt --requirement requirements.txt
# A wheel of another Python is refused here. Upstream's imports pkg_resources and dm_env, which it does not ask for.
ARG WHEEL
COPY ${WHEEL} /wheels/
RUN pip install --constraint constraints.txt /wheels/*.whl 'setuptools<81' dm-env
COPY . .
RUN pip install --no-deps .

FROM ${PYTHON}
LABEL org.opencontainers.image.title="prefrontal" org.opencontainers.image.licenses="MIT"
# A login shell sets PATH anew (KubeRay starts Ray in one).
RUN useradd --uid 1000 --create-home prefrontal \
 && install -d -o prefrontal -g prefrontal /home/prefrontal/runs \
 && echo "export PATH=/opt/prefrontal/bin:\$PATH" > /etc/profile.d/prefrontal.sh
# The software renderer. Its version is Debian's newest: older ones go from the archive.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libosmesa6 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/prefrontal /opt/prefrontal
# What `prefrontal` sets for its own processes, for those that `ray start` starts; no Ray without a token;
# and the renderer in the thread of the actor.
ENV PATH=/opt/prefrontal/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LP_NUM_THREADS=0 \
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
