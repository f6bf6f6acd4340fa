# oddwave as a service, on the CPU. Build it from this folder:
#
#     docker build -t oddwave:0.2 .
#
# PyTorch's CPU build saves gigabytes: name the index that has it, --build-arg EXTRA_INDEX=https://..., or put its wheels
# where --build-arg FIND_LINKS=... finds them. Without either, the index that pip knows is used.

ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ARG EXTRA_INDEX=""
ARG FIND_LINKS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /oddwave
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN PIP_EXTRA_INDEX_URL="${EXTRA_INDEX}" PIP_FIND_LINKS="${FIND_LINKS}" \
    /oddwave/bin/pip install -c constraints.txt ".[series,audio,serve,postgres,mqtt]"

FROM python:${PYTHON}
COPY --from=build /oddwave /oddwave
RUN useradd --system --uid 10001 --no-create-home oddwave \
    && install -d -o oddwave -g oddwave /data
ENV PATH=/oddwave/bin:$PATH HOME=/tmp OMP_NUM_THREADS=2 NUMBA_NUM_THREADS=2 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# models lie in /data/models, the history in /data; a token is asked for, ODDWAVE_TOKEN, as others can reach the port
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["oddwave"]
CMD ["serve", "models/model", "--host", "0.0.0.0", "--port", "8000", "--history", "/data/oddwave_history.db"]
