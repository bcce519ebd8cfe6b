# fairlead-worker on CPUs, with Debian's libtorch; OpenBLAS, because the reference BLAS is 15 times slower.
FROM debian:12 AS build
WORKDIR /src
COPY dev ./
RUN ./dev setup
COPY . .
RUN cmake --preset release -DFAIRLEAD_BUILD_TESTS=OFF \
 && cmake --build --preset release --target fairlead-worker --target fairlead-trainer \
      --target fairlead-tokenizer \
 && install -D -s build/release/bin/fairlead-worker /out/fairlead-worker \
 && install -D -s build/release/bin/fairlead-trainer /out/fairlead-trainer \
 && install -D -s build/release/bin/fairlead-tokenizer /out/fairlead-tokenizer

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libgrpc++1.51 libprotobuf32 libhiredis0.14 \
      libssl3 libprometheus-cpp-pull1.0 libarchive13 libpng16-16 libjpeg62-turbo libfreetype6 \
      libtorch1.13 libopenblas0-pthread libsentencepiece0 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/bin/
USER 65532:65532
EXPOSE 9100
ENTRYPOINT ["/usr/bin/fairlead-worker"]
