# ods-sink in a container, without (target ods-sink) and with the lake engine, and (target connector) the
# script that registers its Debezium connector.

FROM debian:trixie-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        gcc g++ libc6-dev cmake ninja-build pkg-config \
        liblua5.4-dev librdkafka-dev libpq-dev libyyjson-dev libjansson-dev libyaml-dev libconfig-dev \
        libmicrohttpd-dev libgnutls28-dev libcurl4-openssl-dev libssl-dev libmariadb-dev zlib1g-dev libzstd-dev \
        libqpid-proton11-dev libexpat1-dev libprotobuf-dev libprotoc-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY CMakeLists.txt CMakePresets.json README.md ./
COPY cmake cmake
COPY include include
COPY src src
COPY generate generate
COPY bench/text.c bench/text.h bench/
COPY sql sql
COPY docs docs
COPY config config
RUN cmake --preset release -DCMAKE_INSTALL_PREFIX=/usr \
    && cmake --build --preset release --target ods-sink ods-generate \
    && DESTDIR=/out cmake --install build/release --strip

# The lake engine, for targets of type delta and iceberg: about 7 minutes of CPU, the first time.
FROM rust:1.95-slim-trixie AS lake
WORKDIR /src
COPY lake lake
RUN cargo build --release --locked --manifest-path lake/Cargo.toml

FROM debian:trixie-slim AS connector
RUN apt-get update && apt-get install -y --no-install-recommends bash ca-certificates curl jq \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home connector
COPY scripts/connector scripts/stack scripts/lib.sh /opt/ods-sink/scripts/
COPY config/connectors /opt/ods-sink/config/connectors
USER connector
ENTRYPOINT ["/opt/ods-sink/scripts/connector"]

FROM debian:trixie-slim AS ods-sink
RUN apt-get update && apt-get install -y --no-install-recommends \
        liblua5.4-0 librdkafka1 libpq5 libyyjson0 libjansson4 libyaml-0-2 libconfig11 libmicrohttpd12t64 \
        libgnutls30t64 libcurl4t64 libssl3t64 libmariadb3 zlib1g libzstd1 libqpid-proton11 libexpat1 \
        libprotobuf32t64 ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --home-dir /nonexistent ods-sink
COPY --from=build /out/usr/bin/ods-sink /usr/bin/ods-sink
COPY --from=build /src/build/release/ods-generate /usr/bin/ods-generate
COPY --from=build /out/usr/share/ods-sink /usr/share/ods-sink
USER ods-sink
# For the health check; config/demo/ods-sink.conf listens here. Mount your own files at /etc/ods-sink.
ENV ODS_HTTP_LISTEN=0.0.0.0:8090
EXPOSE 8090
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8090/healthz"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/ods-sink"]
CMD ["run", "-c", "/etc/ods-sink/ods-sink.conf"]

# With the lake engine: what `docker build .` makes. Everything else runs without it, by --target ods-sink.
FROM ods-sink AS ods-sink-lake
USER root
RUN apt-get update && apt-get install -y --no-install-recommends libsqlite3-0 && rm -rf /var/lib/apt/lists/*
COPY --from=lake /src/lake/target/release/libods_lake.so /usr/lib/ods-sink/libods_lake.so
USER ods-sink
