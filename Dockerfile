# One image for every process; docker-compose.yml says which command each container runs.
# glibc (slim, not alpine): some of our wheels are built for it alone.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
# The application's own environment has no pip, no compiler and no build back-end in it.
RUN python -m venv --without-pip /opt/venv && python -m venv /opt/build
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN /opt/build/bin/pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r requirements/runtime.txt \
 && /opt/build/bin/pip install --require-hashes -r requirements/build.txt
COPY . .
# An editable wheel: the `newsletter` command, and the path of /app, where templates/ lies as well.
RUN /opt/build/bin/hatchling build -t wheel:editable -d /tmp/wheel \
 && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps /tmp/wheel/*.whl \
 && /opt/venv/bin/python -m compileall -q newsletter workers

FROM python:${PYTHON}-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NEWSLETTER_ENV=production \
    NEWSLETTER_LOG_FORMAT=json \
    NEWSLETTER_STATE_DIR=/var/lib/newsletter
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent newsletter \
 && install --directory --owner newsletter --group newsletter --mode 0750 /var/lib/newsletter
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER newsletter
VOLUME /var/lib/newsletter
EXPOSE 8000
# For the default command; docker-compose.yml has a check of its own for each other process.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
CMD ["newsletter", "web", "--host", "0.0.0.0", "--port", "8000"]
