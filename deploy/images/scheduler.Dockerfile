# fairlead-scheduler, without libtorch.
FROM debian:12 AS build
WORKDIR /src
COPY dev ./
RUN ./dev setup
COPY . .
RUN cmake --preset notorch -DFAIRLEAD_BUILD_TESTS=OFF \
 && cmake --build --preset notorch --target fairlead-scheduler \
 && install -D -s build/notorch/bin/fairlead-scheduler /out/fairlead-scheduler

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libgrpc++1.51 libprotobuf32 libhiredis0.14 libjemalloc2 \
      libssl3 libprometheus-cpp-pull1.0 libarchive13 libpng16-16 libjpeg62-turbo libfreetype6 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/fairlead-scheduler /usr/bin/fairlead-scheduler
USER 65532:65532
EXPOSE 7000 7001 9100
ENTRYPOINT ["/usr/bin/fairlead-scheduler"]
