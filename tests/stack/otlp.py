"""The OTLP receiver of Prometheus, for builds that have none, as Debian's.

It takes what Airflow's processes send and writes it on by Prometheus' remote write, in the names that Prometheus itself
would give: https://prometheus.io/docs/guides/opentelemetry/#utf-8. Durations become native histograms.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from tests.http_server import QuietHandler, listening_on

PATH = "/api/v1/otlp/v1/metrics"
FINEST = 8
"""The highest resolution of a native histogram."""

UNITS = {"ms": "_milliseconds"}

# As much of prometheus/prompb as is written.
_WRITE = """
name: "write.proto" package: "write" syntax: "proto3"
message_type { name: "Request"
  field { name: "series" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".write.Series" } }
message_type { name: "Series"
  field { name: "labels" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".write.Label" }
  field { name: "samples" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".write.Sample" }
  field { name: "histograms" number: 4 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".write.Histogram" } }
message_type { name: "Label"
  field { name: "name" number: 1 type: TYPE_STRING } field { name: "value" number: 2 type: TYPE_STRING } }
message_type { name: "Sample"
  field { name: "value" number: 1 type: TYPE_DOUBLE } field { name: "timestamp" number: 2 type: TYPE_INT64 } }
message_type { name: "Histogram"
  field { name: "count" number: 1 type: TYPE_UINT64 }
  field { name: "sum" number: 3 type: TYPE_DOUBLE }
  field { name: "schema" number: 4 type: TYPE_SINT32 }
  field { name: "zero_threshold" number: 5 type: TYPE_DOUBLE }
  field { name: "zero_count" number: 6 type: TYPE_UINT64 }
  field { name: "spans" number: 11 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".write.Span" }
  field { name: "deltas" number: 12 label: LABEL_REPEATED type: TYPE_SINT64 }
  field { name: "timestamp" number: 15 type: TYPE_INT64 } }
message_type { name: "Span"
  field { name: "offset" number: 1 type: TYPE_SINT32 } field { name: "length" number: 2 type: TYPE_UINT32 } }
"""
_pool = descriptor_pool.DescriptorPool()
_pool.Add(text_format.Parse(_WRITE, descriptor_pb2.FileDescriptorProto()))
WriteRequest: Any = message_factory.GetMessageClass(_pool.FindMessageTypeByName("write.Request"))


@contextmanager
def otlp_receiver(prometheus: str) -> Iterator[str]:
    """The address of a receiver that writes to this Prometheus, for as long as the block lasts."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(written(prometheus, ExportMetricsServiceRequest.FromString(body)))
            self.send_header("Content-Length", "0")
            self.end_headers()

    with listening_on(Handler) as address:
        yield address + PATH


def written(prometheus: str, sent: ExportMetricsServiceRequest) -> int:
    """Write all that was sent; the status that Prometheus answers with."""
    request = WriteRequest()
    for resource in sent.resource_metrics:
        about = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
        source = {"job": about["service.name"], "instance": about["service.instance.id"]}
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                add(request, metric, source)
    body = pa.compress(request.SerializeToString(), codec="snappy", asbytes=True)
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    url = f"{prometheus}/api/v1/write"
    return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=None).status_code


def add(request: Any, metric: Metric, source: dict[str, str]) -> None:
    """Every point of a metric, as a series of its own."""
    kind = metric.WhichOneof("data")
    data = getattr(metric, str(kind))
    suffix = UNITS.get(metric.unit, "") + ("_total" if kind == "sum" and data.is_monotonic else "")
    name = re.sub(r"\W+", "_", metric.name) + suffix
    for point in data.data_points:
        labels = {re.sub(r"\W", "_", key.key): value_of(key.value) for key in point.attributes}
        series = request.series.add()
        for label, value in sorted({**labels, **source, "__name__": name}.items()):
            series.labels.add(name=label, value=value)
        timestamp = point.time_unix_nano // 1_000_000
        if kind == "exponential_histogram":
            add_histogram(series, point, timestamp)
        else:
            series.samples.add(value=getattr(point, point.WhichOneof("value")), timestamp=timestamp)


def value_of(value: Any) -> str:
    """An attribute as a label has it."""
    return str(getattr(value, value.WhichOneof("value")))


def add_histogram(series: Any, point: Any, timestamp: int) -> None:
    """Its buckets, no finer than Prometheus has them; a bucket there is named by its upper bound."""
    coarser = max(0, point.scale - FINEST)
    counts: Counter[int] = Counter()
    for place, count in enumerate(point.positive.bucket_counts, point.positive.offset):
        counts[(place >> coarser) + 1] += count
    histogram = series.histograms.add(
        count=point.count,
        sum=point.sum,
        schema=point.scale - coarser,
        zero_threshold=point.zero_threshold,
        zero_count=point.zero_count,
        timestamp=timestamp,
    )
    last, held = -1, 0
    for place in sorted(place for place in counts if counts[place]):
        histogram.spans.add(offset=place - last - 1, length=1)
        histogram.deltas.append(counts[place] - held)
        last, held = place, counts[place]
