# Dockerfile: PostgreSQL's official image with usage_events, loaded at start, in each database that it makes
#
#	docker build -t usage_events .
#	docker run -e POSTGRES_PASSWORD=... usage_events                            # with the extension in the first database
#	docker run -e POSTGRES_PASSWORD=... -e USAGE_EVENTS_DEMO=yes usage_events   # and the demo's events in it
ARG PG_MAJOR=18
ARG DISTRIBUTION=trixie

FROM postgres:${PG_MAJOR}-${DISTRIBUTION} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends build-essential debhelper make uuid-dev \
    postgresql-server-dev-all "postgresql-server-dev-${PG_MAJOR}" && rm -rf /var/lib/apt/lists/*
COPY . /usage_events
WORKDIR /usage_events
# For the server of the image, of those that its repository has.
RUN DEB_PG_SUPPORTED_VERSIONS="${PG_MAJOR}" make deb && mkdir /package && cp dist/postgresql-"${PG_MAJOR}"-usage-events_*.deb /package/

FROM postgres:${PG_MAJOR}-${DISTRIBUTION}
LABEL org.opencontainers.image.title="usage_events" \
      org.opencontainers.image.description="usage metering for usage-based billing in PostgreSQL" \
      org.opencontainers.image.licenses="PostgreSQL"
# hadolint ignore=DL3008
RUN --mount=type=bind,from=build,source=/package,target=/package \
    apt-get update && apt-get install -y --no-install-recommends /package/*.deb && rm -rf /var/lib/apt/lists/* && \
    echo "shared_preload_libraries = 'usage_events'" >>/usr/share/postgresql/postgresql.conf.sample
COPY examples/demo/*.sql examples/demo/events.ndjson /usr/share/usage_events/demo/
COPY packaging/docker_init.sh /docker-entrypoint-initdb.d/10_usage_events.sh
