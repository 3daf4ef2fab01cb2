# Atelier in a container. Build arguments:
#   TORCH_INDEX  index that torch is taken from; empty: PyPI, whose Linux build for x86-64 runs on NVIDIA cards. See docs/host/install.md.
#   PYTHON       version of Python, 3.11 or newer
# The image holds PyAV, whose wheels contain x264 and x265 (GPL): read THIRD_PARTY.md before you hand it on.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS build
ARG TORCH_INDEX=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/atelier
RUN python -m venv .venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
# The large wheels come first, in a layer of their own: a change of the program doesn't fetch them again.
RUN if [ -n "$TORCH_INDEX" ]; then \
        .venv/bin/pip install --index-url "$TORCH_INDEX" "torch>=2.10,<2.14" "torchvision>=0.25,<0.29"; \
    else \
        .venv/bin/pip install "torch>=2.10,<2.14" "torchvision>=0.25,<0.29"; \
    fi
# The program runs in place, as `make run` does: nothing can be left out of a package that isn't built.
COPY . .
RUN .venv/bin/pip install --constraint constraints.txt --editable ".[postgres,s3,scale,nkeys,otel,quantize,photo,ocr,train,c2pa,mqtt,push]" \
    && .venv/bin/python -m compileall -q bot bus core host jobs storage studio vision web

FROM python:${PYTHON}-slim
RUN groupadd --gid 1000 atelier && useradd --uid 1000 --gid atelier --create-home atelier \
    && install -d -o atelier -g atelier /data
COPY --from=build /opt/atelier /opt/atelier
ENV PATH=/opt/atelier/.venv/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/data METRICS_PORT=9464 OPEN_BROWSER=off
USER 1000:1000
WORKDIR /home/atelier
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"METRICS_PORT\"]}/livez', timeout=4)"]
ENTRYPOINT ["atelier"]
CMD ["run"]
