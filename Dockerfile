# vidsr in a container. Two targets:
#   docker build --target cpu  -t vidsr:cpu .
#   docker build --target cuda -t vidsr:cuda .     (needs the NVIDIA container toolkit to run: --gpus all)
#   docker run --rm -v "$PWD:/data" vidsr:cpu enhance clip.mp4 --scale 2
# Files are written as the user of the container; add --user "$(id -u):$(id -g)" to keep your own.

FROM python:3.12-slim-bookworm AS base
# A C compiler, for the kernels that vidsr builds at first use; ffmpeg, for `vidsr doctor` and for people.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ffmpeg gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY weights weights
COPY vidsr vidsr

FROM base AS build
# The wheel is built apart, so that its tools are not in the result.
RUN python -m venv /build \
 && /build/bin/pip install "$(grep '^hatchling==' constraints.txt)" build \
 && /build/bin/python -m build --wheel --no-isolation --outdir /dist .

FROM base AS cpu
# torch first, by its exact version and from PyTorch's index of CPU builds: PyPI's build for Linux brings CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY --from=build /dist /dist
RUN pip install --index-url "$TORCH_INDEX" --extra-index-url https://pypi.org/simple "$(grep '^torch==' constraints.txt)" \
 && pip install --constraint constraints.txt "$(ls /dist/*.whl)[web]" \
 && rm -rf /src /dist
RUN useradd --create-home vidsr && mkdir /data && chown vidsr /data
USER vidsr
WORKDIR /data
# The state of jobs and the fetched weights; mount volumes there to keep them.
ENV VIDSR_STATE=/home/vidsr/state VIDSR_CACHE=/home/vidsr/cache VIDSR_CONFIG=/home/vidsr/config
EXPOSE 8765
ENTRYPOINT ["vidsr"]
CMD ["--help"]

FROM base AS cuda
# PyPI's torch for Linux holds CUDA; only the driver comes from the host.
COPY --from=build /dist /dist
RUN pip install "$(grep '^torch==' constraints.txt)" \
 && pip install --constraint constraints.txt "$(ls /dist/*.whl)[web]" \
 && rm -rf /src /dist
RUN useradd --create-home vidsr && mkdir /data && chown vidsr /data
USER vidsr
WORKDIR /data
ENV VIDSR_STATE=/home/vidsr/state VIDSR_CACHE=/home/vidsr/cache VIDSR_CONFIG=/home/vidsr/config \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,video,utility
EXPOSE 8765
ENTRYPOINT ["vidsr"]
CMD ["--help"]
