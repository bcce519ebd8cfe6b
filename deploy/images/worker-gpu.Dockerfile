# fairlead-worker on NVIDIA GPUs. libtorch with CUDA comes as the build context `libtorch` (README.md);
# its CUDA version must be the base image's.
ARG CUDA=12.6.3
FROM nvidia/cuda:${CUDA}-cudnn-devel-ubuntu24.04 AS build
WORKDIR /src
COPY --from=libtorch / /opt/libtorch
ENV CMAKE_PREFIX_PATH=/opt/libtorch
COPY dev ./
RUN ./dev setup
COPY . .
RUN cmake --preset release -DFAIRLEAD_BUILD_TESTS=OFF \
 && cmake --build --preset release --target fairlead-worker --target fairlead-trainer \
      --target fairlead-tokenizer \
 && install -D -s build/release/bin/fairlead-worker /out/fairlead-worker \
 && install -D -s build/release/bin/fairlead-trainer /out/fairlead-trainer \
 && install -D -s build/release/bin/fairlead-tokenizer /out/fairlead-tokenizer

FROM nvidia/cuda:${CUDA}-cudnn-runtime-ubuntu24.04
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libgrpc++1.51t64 libprotobuf32t64 \
      libhiredis1.1.0 libssl3t64 libprometheus-cpp-pull1.0 libarchive13t64 libpng16-16t64 libjpeg-turbo8 \
      libfreetype6 libsentencepiece0 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=libtorch /lib /opt/libtorch/lib
COPY --from=build /out/ /usr/bin/
USER 65532:65532
EXPOSE 9100
ENTRYPOINT ["/usr/bin/fairlead-worker"]
