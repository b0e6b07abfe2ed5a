# One image for everything of ours: the S3 server, the replay server and Airflow. docker-compose.yaml says who runs what.

FROM python:3.11.14-slim-bookworm AS packages
RUN pip install --no-cache-dir uv==0.13.9 && python -m venv /opt/venv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON=/opt/venv/bin/python
WORKDIR /app
# What the product needs, without the tools of its developers, in the versions of the lock.
COPY pyproject.toml requirements.txt ./
RUN uv pip install --constraint requirements.txt --requirements pyproject.toml
COPY README.md ./
COPY include include
# Editable: the package finds catalog, DAGs and dbt project beside itself.
RUN uv pip install --no-deps --editable . && python -m compileall -q include

FROM python:3.11.14-slim-bookworm
RUN useradd --uid 10001 --create-home feature-store \
  && install --directory --owner feature-store --group feature-store --mode 0700 /state /objects
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY --from=packages /app/include include
COPY dags dags
COPY plugins plugins
COPY expectations expectations
COPY dbt_project dbt_project
# A changed project must be newer than the manifest on the volume, or it would not be parsed.
RUN touch dbt_project/dbt_project.yml
ENV PATH=/opt/venv/bin:$PATH \
    FEATURE_STORE_HOME=/state \
    PYTHONUNBUFFERED=1 \
    LC_ALL=C.UTF-8 \
    TZ=UTC \
    DO_NOT_TRACK=1 \
    SCARF_ANALYTICS=false \
    GX_ANALYTICS_ENABLED=false
USER 10001
CMD ["feature-store", "--help"]
