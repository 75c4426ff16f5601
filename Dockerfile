# One image for every process of Mailroom; docker-compose.yml says which runs where.

FROM python:3.12.12-slim-bookworm AS build
WORKDIR /build

# Everything that was locked, and nothing whose hash differs. Wheels only: what a source package
# needs to be built is not in the lock.
COPY requirements.lock ./
RUN pip wheel --no-cache-dir --require-hashes --no-deps --only-binary :all: \
    --requirement requirements.lock --wheel-dir /wheels

# From those alone, and without the tools of development, which Mailroom doesn't depend on.
COPY pyproject.toml README.md worker.py ./
COPY mailroom mailroom
COPY workflows workflows
COPY activities activities
RUN python -m venv /opt/mailroom \
    && /opt/mailroom/bin/pip install --no-cache-dir --no-compile --no-index \
    --find-links /wheels '.[parquet]'

# Temporal's sandbox imports the workflow files anew for every workflow: without bytecode each of
# those imports compiles them, 10 ms of CPU for every mail. Unchecked, because nothing in an image
# changes.
RUN /opt/mailroom/bin/python -W ignore -m compileall -q -j 0 \
    --invalidation-mode unchecked-hash /opt/mailroom/lib


FROM python:3.12.12-slim-bookworm
ENV PATH=/opt/mailroom/bin:$PATH \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/mailroom /opt/mailroom

# A volume that is mounted on `data/blobs` or `data/spool` takes its owner from this folder.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin mailroom \
    && install --directory --owner mailroom --group mailroom \
    /srv/mailroom /srv/mailroom/data /srv/mailroom/data/blobs \
    /srv/mailroom/data/spool
WORKDIR /srv/mailroom
USER mailroom

EXPOSE 8003 2525
ENTRYPOINT ["mailroom"]
