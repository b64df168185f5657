# pgveil as an image: everything pinned by hash, a user without rights, no build tools in what runs.

FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
RUN python -m venv /opt/build && python -m venv /opt/pgveil \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.txt \
    && /opt/pgveil/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY proxy proxy
RUN /opt/build/bin/hatchling build --target wheel \
    && /opt/pgveil/bin/pip install --no-cache-dir --no-deps dist/*.whl

FROM python:3.11-slim
RUN useradd --system --uid 6432 --home-dir /var/lib/pgveil --create-home pgveil
COPY --from=build /opt/pgveil /opt/pgveil
ENV PATH=/opt/pgveil/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER pgveil
# pgveil.yaml, users.txt and policies/ are looked for here: mount them.
WORKDIR /etc/pgveil
VOLUME /var/lib/pgveil
EXPOSE 6432 9432
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9432/readyz', timeout=5)"]
ENTRYPOINT ["pgveil"]
CMD ["serve"]
